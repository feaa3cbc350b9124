#include "l7/access_log.h"

#include <assert.h>

#include "base/cursor.h"

/* Bytes that a text may take in a line. */
#define METHOD_SIZE 64
#define TARGET_SIZE 2048
#define HOST_SIZE 512
#define REFERER_SIZE 1024
#define AGENT_SIZE 1024
#define NAME_SIZE 256

_Static_assert(METHOD_SIZE + TARGET_SIZE + HOST_SIZE + REFERER_SIZE + AGENT_SIZE + 4 * NAME_SIZE +
			       1024 <=
		       ACCESS_LOG_LINE_MAX,
	       "the texts, and what stands between them, fit a line");

static void put(struct wcur *w, struct text t)
{
	wcur_bytes(w, t.p, t.size);
}

/* At least `width` digits. */
static void put_number(struct wcur *w, uint64_t n, unsigned width)
{
	char digits[20];
	unsigned size = 0;

	while (n > 0 || size < width) {
		digits[sizeof(digits) - ++size] = (char)('0' + n % 10);
		n /= 10;
	}
	wcur_bytes(w, digits + sizeof(digits) - size, size);
}

/* Not \u0000: readers of JSON that end strings with a zero refuse it. */
static size_t escape(char out[8], enum access_format format, char c)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
		out[n++] = c;
		return n;
	}
	out[n++] = '\\';
	if (format == ACCESS_JSON) /* a backslash that JSON hands on */
		out[n++] = '\\';
	out[n++] = 'x';
	out[n++] = hex[(uint8_t)c >> 4];
	out[n++] = hex[(uint8_t)c & 15];
	return n;
}

/* A client's text, or anybody's, in no more than `room` bytes. */
static void put_escaped(struct wcur *w, enum access_format format, struct text t, size_t room)
{
	for (size_t i = 0; i < t.size; i++) {
		char piece[8];
		size_t n = escape(piece, format, t.p[i]);

		if (n > room)
			return;
		wcur_bytes(w, piece, n);
		room -= n;
	}
}

/* --- time ------------------------------------------------------------------------------------- */

struct moment {
	unsigned year, month, day, hour, minute, second, ms;
};

static bool is_leap(unsigned year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned month_days(unsigned year, unsigned month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* The Gregorian calendar repeats every 400 years, which are 146097 days. */
static struct moment moment_of(uint64_t time_ms)
{
	uint64_t days = time_ms / 86400000;
	unsigned rest = (unsigned)(time_ms % 86400000);
	struct moment m = {
		.year = 1970 + (unsigned)(days / 146097 % 20) * 400,
		.month = 1,
		.hour = rest / 3600000,
		.minute = rest / 60000 % 60,
		.second = rest / 1000 % 60,
		.ms = rest % 1000,
	};
	unsigned day = (unsigned)(days % 146097);

	while (day >= (is_leap(m.year) ? 366u : 365u)) {
		day -= is_leap(m.year) ? 366 : 365;
		m.year++;
	}
	while (day >= month_days(m.year, m.month)) {
		day -= month_days(m.year, m.month);
		m.month++;
	}
	m.day = day + 1;
	return m;
}

/* 10/Oct/2000:13:55:36 +0000 */
static void put_common_time(struct wcur *w, uint64_t time_ms)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct moment m = moment_of(time_ms);

	put_number(w, m.day, 2);
	put(w, TEXT("/"));
	wcur_bytes(w, names + (size_t)(m.month - 1) * 3, 3);
	put(w, TEXT("/"));
	put_number(w, m.year, 4);
	put(w, TEXT(":"));
	put_number(w, m.hour, 2);
	put(w, TEXT(":"));
	put_number(w, m.minute, 2);
	put(w, TEXT(":"));
	put_number(w, m.second, 2);
	put(w, TEXT(" +0000"));
}

/* 2000-10-10T13:55:36.123Z */
static void put_iso_time(struct wcur *w, uint64_t time_ms)
{
	struct moment m = moment_of(time_ms);

	put_number(w, m.year, 4);
	put(w, TEXT("-"));
	put_number(w, m.month, 2);
	put(w, TEXT("-"));
	put_number(w, m.day, 2);
	put(w, TEXT("T"));
	put_number(w, m.hour, 2);
	put(w, TEXT(":"));
	put_number(w, m.minute, 2);
	put(w, TEXT(":"));
	put_number(w, m.second, 2);
	put(w, TEXT("."));
	put_number(w, m.ms, 3);
	put(w, TEXT("Z"));
}

static struct text address_text(char buf[ADDR_TEXT], const struct ipaddr *a)
{
	ipaddr_text(buf, a);
	return (struct text){buf, strlen(buf)};
}

/* --- combined --------------------------------------------------------------------------------- */

static void put_quoted(struct wcur *w, struct text t, size_t room)
{
	put(w, TEXT(" \""));
	put_escaped(w, ACCESS_COMBINED, t.size > 0 ? t : TEXT("-"), room);
	put(w, TEXT("\""));
}

static void write_combined(struct wcur *w, const struct access_record *r)
{
	char address[ADDR_TEXT];

	put(w, address_text(address, &r->client.addr));
	put(w, TEXT(" - - ["));
	put_common_time(w, r->time_ms);
	put(w, TEXT("] \""));
	if (r->method.size > 0) {
		put_escaped(w, ACCESS_COMBINED, r->method, METHOD_SIZE);
		put(w, TEXT(" "));
		put_escaped(w, ACCESS_COMBINED, r->target, TARGET_SIZE);
		put(w, r->minor == 0 ? TEXT(" HTTP/1.0") : TEXT(" HTTP/1.1"));
	} else {
		put(w, TEXT("-"));
	}
	put(w, TEXT("\" "));
	put_number(w, r->status, 3);
	put(w, TEXT(" "));
	put_number(w, r->sent, 1);
	put_quoted(w, r->referer, REFERER_SIZE);
	put_quoted(w, r->user_agent, AGENT_SIZE);
	put(w, TEXT("\n"));
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void json_name(struct wcur *w, const char *name)
{
	put(w, TEXT(",\""));
	wcur_bytes(w, name, strlen(name));
	put(w, TEXT("\":"));
}

static void json_text(struct wcur *w, const char *name, struct text t, size_t room)
{
	json_name(w, name);
	put(w, TEXT("\""));
	put_escaped(w, ACCESS_JSON, t, room);
	put(w, TEXT("\""));
}

static void json_string(struct wcur *w, const char *name, const char *s)
{
	if (s)
		json_text(w, name, (struct text){s, strlen(s)}, NAME_SIZE);
}

static void json_number(struct wcur *w, const char *name, uint64_t n)
{
	json_name(w, name);
	put_number(w, n, 1);
}

static void json_duration(struct wcur *w, const char *name, uint32_t us)
{
	if (us != ACCESS_LOG_UNKNOWN)
		json_number(w, name, us);
}

static void write_json(struct wcur *w, const struct access_record *r)
{
	char address[ADDR_TEXT];

	put(w, TEXT("{\"time\":\""));
	put_iso_time(w, r->time_ms);
	put(w, TEXT("\""));
	json_text(w, "client", address_text(address, &r->client.addr), NAME_SIZE);
	json_number(w, "client_port", r->client.port);
	json_text(w, "service", r->service, NAME_SIZE);
	json_text(w, "server", r->server, NAME_SIZE);
	json_text(w, "method", r->method, METHOD_SIZE);
	json_text(w, "target", r->target, TARGET_SIZE);
	json_text(w, "version", r->minor == 0 ? TEXT("1.0") : TEXT("1.1"), NAME_SIZE);
	json_text(w, "host", r->host, HOST_SIZE);
	json_number(w, "status", r->status);
	json_number(w, "received", r->received);
	json_number(w, "sent", r->sent);
	json_text(w, "referer", r->referer, REFERER_SIZE);
	json_text(w, "user_agent", r->user_agent, AGENT_SIZE);
	json_string(w, "cookie", r->cookie);
	json_string(w, "refused", r->reason);
	json_duration(w, "queue_us", r->queue_us);
	json_duration(w, "connect_us", r->connect_us);
	json_duration(w, "first_byte_us", r->first_byte_us);
	json_duration(w, "total_us", r->total_us);
	put(w, TEXT("}\n"));
}

size_t access_log_write(char out[ACCESS_LOG_LINE_MAX], enum access_format format,
			const struct access_record *r)
{
	struct wcur w = wcur_init(out, ACCESS_LOG_LINE_MAX);

	if (format == ACCESS_JSON)
		write_json(&w, r);
	else
		write_combined(&w, r);
	assert(wcur_ok(&w));
	return wcur_size(&w);
}
