/*
 * session.h - one client's connection. Internal to session.c, request.c, sticky.c, relay.c,
 * response.c, body.c, tunnel.c and account.c.
 *
 *	          ┌───────────────── complete, both keep ─────────────────┐
 *	          ▼                                                       │
 *	accept ─▶ IDLE ──▶ HEAD ── whole ──▶ WAIT ── granted ──▶ EXCHANGE ┤
 *	   │                 │ refused        │ denied, queue    │  │ 101 └ complete ──▶ closed
 *	   │                 ▼                ▼ full             │  ▼
 *	   │               LAST ◀─────────────┴── no response ◀──┘ TUNNEL ◀── granted ── WAIT
 *	   │                 │ error page sent                                            ▲
 *	   │                 ▼                                                 name known │
 *	   │               LINGER ──▶ closed                                              │
 *	   └ TLS ──▶ HELLO ───────────────────────────────────────────────────────────────┘
 *
 * The head of a request stays at the front of `in` until the response is complete: for the log, and
 * to be sent once more. Behind it the body passes, and behind that the next request waits. `out`
 * holds the head as it is sent to the server, and then what comes back; a response's head is
 *written anew in a third buffer that is held only meanwhile, and what the client does not take at
 *once goes in front of the body in `out`. So a client has two buffers at most.
 */
#ifndef PROXY_SESSION_H
#define PROXY_SESSION_H

#include "io/stream.h"
#include "l7/client_hello.h"
#include "l7/http_write.h"
#include "proxy/impl.h"

enum session_state {
	SESSION_IDLE,	  /* between requests */
	SESSION_HEAD,	  /* some of a request's head has come */
	SESSION_HELLO,	  /* TLS: before the server's name */
	SESSION_WAIT,	  /* for a connection to the server, or for word of where it is */
	SESSION_EXCHANGE, /* request and response pass */
	SESSION_TUNNEL,	  /* anything passes, both ways */
	SESSION_LAST,	  /* an error page is being sent, then nothing more */
	SESSION_LINGER,	  /* so that the client gets it before the connection goes */
	SESSION_DEAD,	  /* ended, to be freed */
};

enum way_result {
	WAY_MOVED,  /* something; there may be more */
	WAY_READS,  /* waits for its source */
	WAY_WRITES, /* waits for its destination */
	WAY_DONE,
	WAY_REFUSED, /* the message is not what HTTP allows */
	WAY_ENDED,   /* the source has, before the message's end was seen */
	WAY_READ_FAILED,
	WAY_WRITE_FAILED,
	WAY_NO_MEMORY,
	WAY_ELSEWHERE, /* the request has gone to another server: this exchange is no more */
};

/* What passes in one direction. */
struct way {
	struct buffer **buffer; /* what has come and was not sent yet */
	struct buffer **prefix; /* NULL, or what goes before that */
	uint32_t floor;		/* bytes at the front of the buffer that stay */
	uint32_t ready; /* of those that have come: belong to the message, and were looked at */
	uint8_t waits;	/* WAY_READS, WAY_WRITES, or WAY_DONE */
	bool splicing;	/* `transfer` is under way */
	bool dry;	/* the source had no more */
	bool lost;	/* something that was sent is no more in the buffer */
	bool failed;	/* the destination takes nothing any more */
	struct http_body body;
	struct stream_transfer transfer;
};

/* One request and its response. Spans are of the request's head. */
struct exchange {
	uint64_t began_ns, wall_ms;
	struct span method_name, target, host, referer, agent;
	uint64_t length; /* of the request's body */
	uint8_t framing; /* of the request */
	uint8_t method;	 /* enum http_method */
	uint8_t minor;
	bool keep;	/* the client's connection, behind this */
	bool upgrade;	/* asked for */
	bool expects;	/* the client waits for 100 before it sends more */
	bool open;	/* counted as open */
	bool flows;	/* told to the world */
	bool retried;	/* has been sent twice */
	bool responded; /* the head of the response is whole */
	bool server_keeps;
	uint8_t n_places;   /* targets tried */
	uint16_t status;    /* as sent */
	uint16_t stick;	    /* the target that a cookie names and that is fit, or PARAMS_NONE */
	uint16_t next;	    /* the target for the client's next request, or PARAMS_NONE */
	bool renew;	    /* the cookie is right, but old */
	bool leave;	    /* it is right for another route */
	bool by_mac;	    /* the target is reached as the client, at the address it asked for */
	uint32_t server;    /* name id that the cookie has, where its server was sought */
	const char *cookie; /* verdict */
	const char *reason;
	uint64_t server_received; /* by the connection, before this */
	uint32_t queue_us, connect_us, first_byte_us;
};

struct session {
	struct proxy_watch watch; /* first */
	struct timer timer;
	struct session *next, *prev;	       /* among all, or among the dead */
	struct session *idle_next, *idle_prev; /* among those that are idle, for longest first */
	struct ring finding;		       /* while it `seeks` */
	struct stream client;
	struct server_wish wish;
	struct endpoint from, to;
	struct buffer *in, *out;
	char *texts; /* the head that the spans are of, once it is not in `in` any more, or NULL */
	uint8_t state; /* enum session_state */
	bool tls;
	bool relayed;	/* by another dispatcher, on the client's behalf */
	bool seeks;	/* SESSION_WAIT: has no wish yet, but waits for word of its server */
	uint16_t relay; /* member that relays it; PARAMS_NONE: none, or it is gone */
	bool client_turn, server_turn; /* as the timers are set */
	uint16_t service;	       /* PARAMS_NONE: gone */
	uint16_t pool;	 /* the service, or the route, whose targets it is; PARAMS_NONE likewise */
	uint16_t target; /* of the exchange, or its relay, or PARAMS_NONE */
	struct http_scan scan;
	struct exchange x;
	struct way up, down;
	struct client_hello *hello; /* NULL when there is none */
};

static inline struct stream *session_server(struct session *s)
{
	return &s->wish.conn->stream;
}

/* Count for the service or route of the request. */
#define session_count(p, s, field, n)                                                              \
	do {                                                                                       \
		if ((s)->pool != PARAMS_NONE)                                                      \
			(p)->world.service_counts((p)->world.arg, (s)->pool)->field +=             \
				(uint64_t)(n);                                                     \
	} while (0)
/* And for its target. */
#define session_count_target(p, s, field, n)                                                       \
	do {                                                                                       \
		if ((s)->target != PARAMS_NONE)                                                    \
			(p)->world.target_counts((p)->world.arg, (s)->target)->field +=            \
				(uint64_t)(n);                                                     \
	} while (0)

/* For the member that relays the session. */
#define session_count_relay(p, s, field, n)                                                        \
	do {                                                                                       \
		if ((s)->relay != PARAMS_NONE)                                                     \
			(p)->world.relay_counts((p)->world.arg, (s)->relay)->field +=              \
				(uint64_t)(n);                                                     \
	} while (0)

/* --- session.c --- */
/* By these rules; those of a service that is gone are the defaults. */
const struct l7_params *session_rules(const struct proxy *p, const struct session *s);
void session_to(struct proxy *p, struct session *s, enum session_state state, uint64_t due_ns);
/* Close. `abort`: the client is to see that it has not got all. */
void session_end(struct proxy *p, struct session *s, bool abort);
/* The response is complete, and the exchange ended: the next request, or close. */
void session_next(struct proxy *p, struct session *s, bool keep);
/* An error page instead of a response; where that cannot be, the client is aborted. */
void session_error(struct proxy *p, struct session *s, unsigned status, const char *reason);
/* The same for what a client may not send. */
void session_refuse(struct proxy *p, struct session *s, enum http_reason reason);
/* The server's side of the exchange is given up. */
void session_drop_server(struct proxy *p, struct session *s, bool abort);
/* Read what a client sends while nobody asked for it. False: it has gone. */
bool session_listen(struct proxy *p, struct session *s);

/* --- request.c --- */
/* p->head is that of the request in `in`. */
void request_begin(struct proxy *p, struct session *s);
/* Choose a target and ask for a connection. `known`: p->head is still the request's. */
void request_place(struct proxy *p, struct session *s, bool known);
/* There is one. */
void request_send(struct proxy *p, struct session *s, bool known);
void request_denied(struct proxy *p, struct session *s);
/* The server closed a connection that was kept, without a word. True: sent once more. */
bool request_again(struct proxy *p, struct session *s);
/* The server that has the request is down, and may never answer nor refuse. True: another has got
 * the request. That is so when it is idempotent, all that was sent of it is still here, nothing at
 * all has come back, it was not sent twice before, and there is another. All others stay: the
 * server may be at work, and ends them, or server-timeout does, with 502 or 504. */
bool request_stranded(struct proxy *p, struct session *s);
/* p->head is the response's. True: a relay's, which says that the server of the cookie is not to be
 * had there, so none has seen the request; and another has got it. That is so when all that was
 * sent of it is still here, and there is one. Otherwise x.next is who it is next time. */
bool request_misdirected(struct proxy *p, struct session *s);

/* --- sticky.c --- */
/* What the request's cookies say: x.stick, x.renew, x.cookie. False: that is being sought, and
 * request_place will be called when it is found. */
bool sticky_judge(struct proxy *p, struct session *s, const struct http_head *h);
/* The target or relay that the request's cookie stands for; PARAMS_NONE: nobody's. */
void sticky_found(struct proxy *p, struct session *s, uint16_t target);
/* Room for the lines that sticky_edit makes. */
#define STICKY_LINES 512
struct sticky {
	char token[COOKIE_TOKEN + 1];
	char lines[STICKY_LINES];
};
/* The response's head `h` gets the cookie that it should have. `room` lives as long as `e`. */
void sticky_edit(struct proxy *p, struct session *s, const struct http_head *h,
		 struct http_response_edit *e, struct sticky *room);

/* --- relay.c --- */
/* Whether a server that is not this node's may be sought. */
bool relay_may_seek(const struct proxy *p, const struct session *s);
/* The server that has that name id. False: the session waits for word. */
bool relay_seek(struct proxy *p, struct session *s, uint32_t server);
/* It does not wait any more, if it did. */
void relay_stop(struct session *s);
/* It has waited long enough. */
void relay_due(struct proxy *p, struct session *s);

/* --- response.c --- */
/* Whatever can be done now, both ways. */
void exchange_run(struct proxy *p, struct session *s);
void exchange_due_client(struct proxy *p, struct session *s);
void exchange_due_server(struct proxy *p, struct session *s);

/* --- body.c --- */
void way_init(struct way *w, struct buffer **buffer, uint32_t floor, enum http_framing framing,
	      uint64_t length);
void way_fini(struct proxy *p, struct way *w);
/* Look at what has come: what belongs to the message is ready to be sent. */
enum l7_answer way_look(struct proxy *p, struct way *w);
/* Send what is ready. WAY_MOVED: all of it. */
enum way_result way_put(struct proxy *p, struct way *w, struct stream *to);
/* Read into the buffer, so that it holds `most` bytes at most. */
enum way_result way_get(struct proxy *p, struct way *w, struct stream *from, uint32_t most);
enum way_result way_run(struct proxy *p, struct way *w, struct stream *from, struct stream *to);
/* A buffer without anything in it goes back. */
void way_rest(struct proxy *p, struct way *w);

/* --- tunnel.c --- */
void hello_run(struct proxy *p, struct session *s);
/* Both ways are open: TLS, or behind a response 101. */
void tunnel_begin(struct proxy *p, struct session *s);
void tunnel_run(struct proxy *p, struct session *s);

/* --- account.c --- */
void account_connection(struct proxy *p, struct session *s, bool begins);
/* p->head may be NULL: TLS, or refused. */
void account_begin(struct proxy *p, struct session *s);
void account_flow(struct proxy *p, struct session *s, bool begins);
void account_granted(struct proxy *p, struct session *s);
void account_status(struct proxy *p, struct session *s, unsigned status);
/* Does nothing when no request is open. `whole`: the client got all of a response. */
void account_end(struct proxy *p, struct session *s, bool whole);
/* The server has failed to give a proper response. */
void account_server_error(struct proxy *p, struct session *s);
uint32_t account_us(const struct proxy *p, const struct session *s);

#endif
