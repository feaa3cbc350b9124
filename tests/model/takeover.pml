/*
 * takeover.pml - nodes that play one dispatcher take over for each other (HD-19, HD-23).
 *
 * One tick is a hello-interval. In each tick every node that runs looks at its timers, judges and
 * says its ROLE once; what it says lies in a slot for each receiver and is delivered, or lost, in
 * any order before the tick ends. A role that changes is said at once. Everything that may go wrong
 * happens between two ticks, in any combination, as often as the budget of its kind allows.
 *
 * Names are those of src/dispatch/takeover*.c; doc/model.md says what is left out.
 *
 * Parameters: N nodes; CUTS, LOSSES, CRASHES, STALLS, ORDERS, LEAVES, PORTS: how often links change
 * (each direction by itself), messages are lost, nodes crash, stand still, are ordered to take
 * over, leave, and their ports go up or down. FOREVER is without bound. TAKEBACK: take-back = true.
 * MUTANT_*: a wrong protocol, that must not pass.
 */
#ifndef N
#define N 2
#endif
#ifndef CUTS
#define CUTS 0
#endif
#ifndef LOSSES
#define LOSSES 0
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef STALLS
#define STALLS 0
#endif
#ifndef ORDERS
#define ORDERS 0
#endif
#ifndef LEAVES
#define LEAVES 0
#endif
#ifndef PORTS
#define PORTS 0
#endif
#ifndef TAKEBACK
#define TAKEBACK 0
#endif
#ifdef ALWAYS_ONE
#define ALWAYS 1
#else
#define ALWAYS 0
#endif
#define FOREVER 99

#define DEAD 3	 /* ticks of silence after which a node is gone: dead-after */
#define LEASE 2	 /* dead-after less one hello-interval */
#define LISTEN 2 /* after a stall */
#define YIELD 1	 /* ticks a yielding node goes on forwarding */
#define DEAF 3	 /* the other does not hear this node since that many ticks, plus one */
#define FORCED 4 /* ticks for which the operator's word counts */
#ifndef SETTLE
#define SETTLE 9 /* ticks without a fault after which all must be well */
#endif

#define WAITING 0
#define STANDBY 1
#define ACTIVE 2
#define YIELDING 3
#define NOBODY N
#ifdef PAIR /* once all are well, the ways between the first two are cut: the third hears both */
#define CUTTABLE &&i < 2 && p < 2 && settled
#else
#define CUTTABLE
#endif

#define AT(i, k) ((i) * N + (k)) /* what i knows of k; the way from i to k */

/* struct takeover_role */
byte st[N];
byte until[N];
bool cold[N];
byte successor[N] = NOBODY;
byte successor_t[N];
byte deaf[N];
bool able[N] = 1;
bool wants[N];
byte forced_t[N];
bool forced[N];
bool held_back[N];
bool leaving[N];
bool changed[N];

/* struct takeover_peer */
byte age[N * N] = DEAD; /* ticks since k was heard; DEAD = never, or gone */
byte s_st[N * N];
byte s_active[N * N] = NOBODY;
bool s_hears[N * N];
bool s_able[N * N];
bool s_wants[N * N];
bool s_forced[N * N];

/* The world */
bool up[N];
bool stalled[N];
byte idle[N]; /* ticks since it last said its ROLE */
bool stepped[N];
bool woke[N];   /* in this tick: reads first what has come meanwhile */
bool played[N]; /* for a whole tick, without a stall */
bool link_up[N * N] = 1;
bool slot[N * N]; /* a message is on its way */
byte m_st[N * N];
byte m_active[N * N];
byte m_hears[N * N]; /* a bit for each */
bool m_able[N * N];
bool m_wants[N * N];
bool m_forced[N * N];
byte cuts, losses, crashes, stalls, orders, leaves, ports;
byte stable;  /* ticks since the last fault, at most SETTLE */
bool elected; /* somebody has been active */
bool settled; /* all run, and all was well */

/* Scratch of deterministic steps. */
hidden byte k, j, r_ha, r_id, r_from, r_best, r_fit, r_own, n_act, n_fwd, n_run, r_w;
hidden byte r_b, r_all, r_c;

c_code {
	static int reached_before[32];
	static void was_reached(int id, const char *what)
	{
		if (reached_before[id]++ == 0)
			printf("reached: %s\n", what);
	}
};
#define REACHED(id, what) c_code { was_reached(id, what); }

#define FRESH(i, p) (age[AT(i, p)] < DEAD)
#define RUNS(i) (up[i] && !stalled[i])
#define FIT(p, a) (((a) -> 8 : 0) + N - (p))

inline fault() { stable = 0 }

inline become(i, s)
{
	printf("%d: state %d to %d\n", i, st[i], s);
	st[i] = s;
	wants[i] = 0;
	deaf[i] = 0;
	changed[i] = 1
}

inline activate(i)
{
	forced[i] = 0;
	forced_t[i] = 0;
	held_back[i] = 0;
	successor[i] = NOBODY;
	successor_t[i] = 0;
	elected = 1;
	become(i, ACTIVE)
}

inline yield_to(i, p)
{
	successor[i] = p;
	successor_t[i] = DEAD;
	until[i] = YIELD;
	become(i, YIELDING)
}

inline heard_active(i)
{
	r_ha = NOBODY;
	for (k : 0 .. N - 1) {
		if
		:: r_ha == NOBODY && k != i && FRESH(i, k) && s_st[AT(i, k)] == ACTIVE -> r_ha = k
		:: else
		fi
	}
}

inline active_id(i)
{
	heard_active(i);
	if
	:: st[i] == ACTIVE -> r_id = i
	:: st[i] != ACTIVE && r_ha != NOBODY -> r_id = r_ha
	:: else ->
		if
		:: successor_t[i] > 0 -> r_id = successor[i]
		:: else -> r_id = NOBODY
		fi
	fi
}

/* r_b: another hears somebody active whom i does not hear. */
inline hearsay(i)
{
	r_b = 0;
#ifndef MUTANT_HEARSAY
	for (k : 0 .. N - 1) {
		if
		:: k != i && FRESH(i, k) && s_active[AT(i, k)] != NOBODY && s_active[AT(i, k)] != i ->
			if
			:: !FRESH(i, s_active[AT(i, k)]) -> r_b = 1
			:: else
			fi
		:: else
		fi
	}
#endif
}

inline handed_over_by(i)
{
	r_from = NOBODY;
	for (k : 0 .. N - 1) {
		if
		:: r_from == NOBODY && k != i && FRESH(i, k) && s_st[AT(i, k)] == YIELDING &&
			   s_active[AT(i, k)] == i ->
			r_from = k
		:: else
		fi
	}
}

inline best_standby(i, also_waiting)
{
	r_best = NOBODY;
	r_fit = 0;
	for (k : 0 .. N - 1) {
		if
		:: k != i && FRESH(i, k) &&
			   (s_st[AT(i, k)] == STANDBY ||
			    (also_waiting && s_st[AT(i, k)] == WAITING)) ->
			if
			:: r_best == NOBODY || FIT(k, s_able[AT(i, k)]) > r_fit ->
				r_best = k;
				r_fit = FIT(k, s_able[AT(i, k)])
			:: else
			fi
		:: else
		fi
	}
}

/* r_c */
inline is_best(i, also_waiting)
{
	best_standby(i, also_waiting);
	r_own = FIT(i, able[i]);
	r_c = (r_best == NOBODY || r_own > r_fit)
}

inline judge_waiting(i)
{
	heard_active(i);
	r_all = 1;
	for (k : 0 .. N - 1) {
		if
		:: k != i && !FRESH(i, k) -> r_all = 0
		:: else
		fi
	}
	is_best(i, 1);
	if
#ifdef MUTANT_LISTEN
	:: 1 -> become(i, STANDBY)
#endif
	:: until[i] == 0 || r_ha != NOBODY || (cold[i] && r_all && r_c) ->
		until[i] = 0;
		become(i, STANDBY)
	:: else
	fi
}

inline judge_standby(i)
{
	heard_active(i);
	handed_over_by(i);
	hearsay(i);
	is_best(i, 0);
	if
	:: leaving[i]
	:: else ->
		if
		:: r_ha == NOBODY && r_from != NOBODY ->
			REACHED(0, "handed over");
			activate(i)
		:: r_ha == NOBODY && r_from == NOBODY && successor_t[i] == 0 && !r_b && r_c ->
			REACHED(1, "elected");
#ifdef ALWAYS_ONE
			/* Nobody is taken for lost who has played it for a tick, and does. */
			for (k : 0 .. N - 1) {
				assert(!(k != i && RUNS(k) && played[k]))
			};
#endif
			activate(i)
		:: else ->
			if
			:: forced_t[i] == 0 -> forced[i] = 0
			:: else
			fi;
			r_w = able[i] && r_ha != NOBODY &&
			      (forced[i] || (TAKEBACK && !held_back[i] && i < r_ha));
			if
			:: r_w != wants[i] -> changed[i] = 1
			:: else
			fi;
			wants[i] = r_w
		fi
	fi
}

inline judge_conflict(i, o)
{
	if
#ifndef MUTANT_ORDER_ONLY
	:: !s_hears[AT(i, o)] ->
		if
		:: deaf[i] == 0 -> deaf[i] = 1
		:: else
		fi;
		if
		:: deaf[i] >= DEAF ->
			REACHED(2, "yields to one that does not hear it");
			yield_to(i, o)
		:: else
		fi
	:: else ->
#else
	:: 1 ->
#endif
		deaf[i] = 0;
#ifndef MUTANT_NEVER_YIELDS
		if
		:: (s_able[AT(i, o)] != able[i] && s_able[AT(i, o)]) ||
			   (s_able[AT(i, o)] == able[i] && o < i) ->
			REACHED(3, "yields to a preferred one");
			yield_to(i, o)
		:: else
		fi
#else
		skip
#endif
	fi
}

inline judge_active(i)
{
	heard_active(i);
	if
	:: r_ha != NOBODY -> judge_conflict(i, r_ha)
	:: else ->
		deaf[i] = 0;
		best_standby(i, 0);
		if
		:: r_best != NOBODY ->
			if
			:: !s_able[AT(i, r_best)] -> r_best = NOBODY
			:: else
			fi
		:: else
		fi;
		if
		:: leaving[i] ->
#ifndef MUTANT_LEAVE
			/* Who can, but does not stand by yet, is waited for. */
			r_b = 0;
			for (k : 0 .. N - 1) {
				if
				:: k != i && FRESH(i, k) && s_able[AT(i, k)] -> r_b = 1
				:: else
				fi
			};
#else
			r_b = 0;
#endif
			if
			:: r_best != NOBODY || !r_b ->
				REACHED(4, "leaves");
				yield_to(i, r_best)
			:: else
			fi
#ifndef MUTANT_PORT
		:: !leaving[i] && !able[i] && r_best != NOBODY ->
			REACHED(5, "yields with a port down");
			yield_to(i, r_best)
#endif
		:: else ->
			r_w = NOBODY;
			for (k : 0 .. N - 1) {
				if
				:: r_w == NOBODY && k != i && FRESH(i, k) &&
					   s_st[AT(i, k)] == STANDBY && s_wants[AT(i, k)] &&
					   s_able[AT(i, k)] && (s_forced[AT(i, k)] || k < i) ->
					r_w = k
				:: else
				fi
			};
			if
			:: r_w != NOBODY ->
				REACHED(6, "hands over to one that wants it");
				held_back[i] = s_forced[AT(i, r_w)];
				yield_to(i, r_w)
			:: else
			fi
		fi
	fi
}

inline judge(i)
{
	if
	:: st[i] == WAITING -> judge_waiting(i)
	:: else
	fi;
	if
	:: st[i] == YIELDING && until[i] == 0 -> become(i, STANDBY)
	:: else
	fi;
	if
	:: st[i] == STANDBY -> judge_standby(i)
	:: st[i] == ACTIVE -> judge_active(i)
	:: else
	fi
}

/* To all that can be reached; a later message takes the place of one on its way. */
inline say(i)
{
	printf("%d: says state %d wants %d able %d\n", i, st[i], wants[i], able[i]);
	changed[i] = 0;
	idle[i] = 0;
	active_id(i);
	r_w = 0;
	for (k : 0 .. N - 1) {
		if
		:: k != i && FRESH(i, k) -> r_w = r_w | (1 << k)
		:: else
		fi
	};
	for (k : 0 .. N - 1) {
		if
		:: k != i && link_up[AT(i, k)] && up[k] ->
			slot[AT(i, k)] = 1;
			m_st[AT(i, k)] = st[i];
			m_active[AT(i, k)] = r_id;
			m_hears[AT(i, k)] = r_w;
			m_able[AT(i, k)] = able[i];
			m_wants[AT(i, k)] = wants[i];
			m_forced[AT(i, k)] = wants[i] && forced[i]
		:: else
		fi
	};
	skip
}

/* A node that stood still has lost its role before it does anything else. */
inline wake(i)
{
	printf("%d: acts, idle %d\n", i, idle[i]);
	if
#ifdef MUTANT_LEASE
	:: 0
#else
	:: idle[i] > LEASE && !leaving[i] ->
		REACHED(7, "waits after a stall");
		until[i] = LISTEN;
		cold[i] = 0;
		successor[i] = NOBODY;
		successor_t[i] = 0;
		become(i, WAITING)
#endif
	:: else
	fi;
#ifdef MUTANT_LEASE_ANY
	idle[i] = 0
#else
	if
	:: st[i] == WAITING -> idle[i] = 0
	:: else
	fi
#endif
}

inline clear_slot(x)
{
	slot[x] = 0;
	m_st[x] = 0;
	m_active[x] = 0;
	m_hears[x] = 0;
	m_able[x] = 0;
	m_wants[x] = 0;
	m_forced[x] = 0
}

/* k is gone as far as i knows. */
inline forget(x)
{
	age[x] = DEAD;
	s_st[x] = 0;
	s_active[x] = NOBODY;
	s_hears[x] = 0;
	s_able[x] = 0;
	s_wants[x] = 0;
	s_forced[x] = 0
}

inline hear(i, p)
{
	printf("%d: hears %d, state %d active %d hears %d\n", i, p, m_st[AT(p, i)], m_active[AT(p, i)],
	       m_hears[AT(p, i)]);
	wake(i);
	if
	:: !FRESH(i, p) -> changed[i] = 1
	:: else
	fi;
	age[AT(i, p)] = 0;
	s_st[AT(i, p)] = m_st[AT(p, i)];
	s_active[AT(i, p)] = m_active[AT(p, i)];
	s_hears[AT(i, p)] = (m_hears[AT(p, i)] >> i) & 1;
	s_able[AT(i, p)] = m_able[AT(p, i)];
	s_wants[AT(i, p)] = m_wants[AT(p, i)];
	s_forced[AT(i, p)] = m_forced[AT(p, i)];
	clear_slot(AT(p, i));
	judge(i);
	if
	:: changed[i] -> say(i)
	:: else
	fi
}

inline start(i)
{
	printf("start %d\n", i);
	up[i] = 1;
	st[i] = WAITING;
	until[i] = DEAD;
	cold[i] = 1;
	idle[i] = 0
}

/* Nothing of it is left; what it sent may still be on its way. */
inline stop(i)
{
	printf("stop %d\n", i);
	up[i] = 0;
	stalled[i] = 0;
	woke[i] = 0;
	played[i] = 0;
	st[i] = WAITING;
	until[i] = 0;
	cold[i] = 0;
	successor[i] = NOBODY;
	successor_t[i] = 0;
	deaf[i] = 0;
	wants[i] = 0;
	forced[i] = 0;
	forced_t[i] = 0;
	held_back[i] = 0;
	able[i] = (leaving[i] -> 1 : able[i]);
	leaving[i] = 0;
	changed[i] = 0;
	idle[i] = 0;
	for (k : 0 .. N - 1) {
		forget(AT(i, k));
		clear_slot(AT(k, i))
	};
	skip
}

/* --- what must hold, at the end of each tick ------------------------------------------------- */

inline check()
{
	n_act = 0;
	n_fwd = 0;
	n_run = 0;
	r_all = 1; /* all links between those that are up */
	r_b = 0;   /* two play it of which one can hear the other */
	r_own = NOBODY;
	r_best = NOBODY;
	for (k : 0 .. N - 1) {
		if
		:: RUNS(k) && !leaving[k] -> n_run++
		:: else
		fi;
		if
		:: RUNS(k) && able[k] && !leaving[k] && r_best == NOBODY -> r_best = k
		:: else
		fi;
		if
		:: RUNS(k) && st[k] == ACTIVE ->
			n_act++;
			n_fwd++;
			r_own = k
		:: RUNS(k) && st[k] == YIELDING -> n_fwd++
		:: else
		fi;
		for (j : 0 .. N - 1) {
			if
			:: j != k && RUNS(k) && RUNS(j) && !link_up[AT(k, j)] -> r_all = 0
			:: else
			fi;
			if
			:: j != k && RUNS(k) && RUNS(j) && st[k] == ACTIVE && st[j] == ACTIVE &&
				   link_up[AT(k, j)] ->
				r_b = 1
			:: else
			fi
		}
	};
	if
	:: n_act > 1 -> REACHED(8, "two active")
	:: else
	fi;
	if
	:: n_act == 0 && elected -> REACHED(9, "none active")
	:: else
	fi;
	if
	:: stable >= SETTLE ->
		/* Somebody plays it. */
		assert(n_run == 0 || n_act >= 1);
		/* Nobody who hears another play it goes on playing it. */
		assert(!r_b);
		if
		:: r_all && n_run > 0 ->
			REACHED(10, "settled");
#ifdef PAIR
			settled = (settled || n_run == N);
#endif
			/* Exactly one, and one that can, if any can. */
			assert(n_act == 1);
			assert(r_best == NOBODY || able[r_own]);
#if TAKEBACK && ORDERS == 0
			assert(r_best == NOBODY || r_own == r_best);
#endif
		:: !r_all && n_run > 0 -> REACHED(11, "settled with a link cut")
		:: else
		fi
	:: else
	fi;
#ifdef ALWAYS_ONE
	/* Without loss and cuts: never two, once all messages of the tick have come. */
	assert(n_act <= 1);
#endif
#ifdef NO_GAP
	/* Only hand-overs: somebody forwards at any time, if there is somebody. */
	r_b = 0;
	for (k : 0 .. N - 1) {
		if
		:: RUNS(k) && st[k] == STANDBY && !leaving[k] -> r_b = 1
		:: else
		fi
	};
	assert(!elected || n_fwd >= 1 || !r_b)
#endif
}

/* While a node stands still it cannot hear, so that is nobody's silence. */
#ifdef MUTANT_STALL_SILENCE
#define COUNTS(k) 1
#else
#define COUNTS(k) (!stalled[k])
#endif

inline pass_time(n)
{
	for (j : 0 .. N - 1) {
		if
		:: age[AT(n, j)] < DEAD -> age[AT(n, j)]++
		:: else
		fi;
		if
		:: age[AT(n, j)] == DEAD -> forget(AT(n, j))
		:: else
		fi
	};
	if
	:: until[n] > 0 -> until[n]--
	:: else
	fi;
	if
	:: successor_t[n] > 1 -> successor_t[n]--
	:: successor_t[n] == 1 ->
		successor_t[n] = 0;
		successor[n] = NOBODY
	:: else
	fi;
	if
	:: forced_t[n] > 0 -> forced_t[n]--
	:: else
	fi;
	if
	:: deaf[n] > 0 && deaf[n] < DEAF -> deaf[n]++
	:: else
	fi
}

inline tick()
{
	printf("--- tick: stable %d", stable);
	for (k : 0 .. N - 1) {
		printf(" | %d: up %d stalled %d state %d until %d succ %d/%d deaf %d able %d", k, up[k],
		       stalled[k], st[k], until[k], successor[k], successor_t[k], deaf[k], able[k])
	};
	printf("\n");
	check();
	for (k : 0 .. N - 1) {
		stepped[k] = 0;
		woke[k] = 0;
		played[k] = (ALWAYS && RUNS(k) && st[k] == ACTIVE);
		if
		:: COUNTS(k) -> pass_time(k)
		:: else
		fi;
		if
		:: up[k] && idle[k] <= LEASE -> idle[k]++
		:: else
		fi;
		if
		:: up[k] && leaving[k] -> fault() /* it does not stay for long */
		:: else
		fi
	};
	if
	:: stable < SETTLE -> stable++
	:: else
	fi
}

#if N == 2
#define MAIL(i) slot[AT(1 - i, i)]
#else
#define MAIL(i) (slot[AT((i + 1) % N, i)] || slot[AT((i + 2) % N, i)])
#endif

#define SPENT(kind, budget) ((budget) == FOREVER || kind < (budget))
inline spend(kind, budget)
{
	if
	:: (budget) != FOREVER -> kind++
	:: else
	fi;
	fault()
}

active proctype world()
{
	byte i, p;
	bool faults;

again:
	/* Faults, in any number. */
	faults = 1;
	do
	:: faults -> atomic { faults = 0 }
#if CUTS > 0
	:: faults && SPENT(cuts, CUTS) ->
		atomic {
			select(i : 0 .. N - 1);
			select(p : 0 .. N - 1);
			if
			:: i != p CUTTABLE ->
				d_step {
					link_up[AT(i, p)] = !link_up[AT(i, p)];
					if
					:: !link_up[AT(i, p)] -> clear_slot(AT(i, p))
					:: else
					fi;
					spend(cuts, CUTS)
				}
			:: else
			fi;
			i = 0;
			p = 0
		}
#endif
	:: faults ->
		atomic {
			/* A start is no fault that is counted: what has crashed may come back. */
			select(i : 0 .. N - 1);
			if
			:: !up[i] -> d_step { start(i); fault() }
			:: else
			fi
		}
#if CRASHES > 0
	:: faults && SPENT(crashes, CRASHES) ->
		atomic {
			select(i : 0 .. N - 1);
			if
			:: up[i] -> d_step { stop(i); spend(crashes, CRASHES) }
			:: else
			fi;
			i = 0;
			p = 0
		}
#endif
#if STALLS > 0
	:: faults ->
		atomic {
			select(i : 0 .. N - 1);
			if
			:: up[i] && !stalled[i] && SPENT(stalls, STALLS) ->
				d_step { stalled[i] = 1; printf("stall %d\n", i); spend(stalls, STALLS) }
			:: stalled[i] ->
				d_step {
					stalled[i] = 0;
					printf("wakes %d\n", i);
					wake(i);
#ifndef MUTANT_STALL_SILENCE
					woke[i] = 1;
					if
					:: st[i] == WAITING && until[i] == 0 -> until[i] = 1
					:: else
					fi;
#endif
					fault();
					/* It forwards what waits, before it has read one message. */
					r_b = 0;
					for (k : 0 .. N - 1) {
						if
						:: k != i && RUNS(k) && st[k] == ACTIVE -> r_b = 1
						:: else
						fi
					};
					skip
#ifdef ALWAYS_ONE
					assert(!(st[i] == ACTIVE && r_b))
#endif
				}
			:: else
			fi;
			i = 0;
			p = 0
		}
#endif
#if ORDERS > 0
	:: faults && SPENT(orders, ORDERS) ->
		atomic {
			select(i : 0 .. N - 1);
			if
			:: RUNS(i) && able[i] && !leaving[i] ->
				d_step {
					held_back[i] = 0;
					forced[i] = (st[i] != ACTIVE);
					forced_t[i] = (st[i] != ACTIVE -> FORCED : 0);
					spend(orders, ORDERS)
				}
			:: else
			fi;
			i = 0;
			p = 0
		}
#endif
#if LEAVES > 0
	:: faults ->
		atomic {
			select(i : 0 .. N - 1);
			if
			:: RUNS(i) && !leaving[i] && SPENT(leaves, LEAVES) ->
				d_step {
					leaving[i] = 1;
					able[i] = 0;
					spend(leaves, LEAVES)
				}
			:: RUNS(i) && leaving[i] && st[i] != ACTIVE && st[i] != YIELDING ->
				d_step {
					stop(i);
					/* goodbye */
					for (k : 0 .. N - 1) {
						if
						:: link_up[AT(i, k)] -> forget(AT(k, i))
						:: else
						fi
					};
					fault()
				}
			:: else
			fi;
			i = 0;
			p = 0
		}
#endif
#if PORTS > 0
	:: faults && SPENT(ports, PORTS) ->
		atomic {
			select(i : 0 .. N - 1);
			if
			:: up[i] && !leaving[i] ->
				d_step { able[i] = !able[i]; spend(ports, PORTS) }
			:: else
			fi;
			i = 0;
			p = 0
		}
#endif
#ifdef MUTANT_BOOT
	/* Without a challenge: a recording of a node that is down, from when it was active. */
	:: faults ->
		atomic {
			select(i : 0 .. N - 1);
			if
			:: !up[i] ->
				d_step {
					for (k : 0 .. N - 1) {
						if
						:: k != i && up[k] ->
							slot[AT(i, k)] = 1;
							m_st[AT(i, k)] = ACTIVE;
							m_active[AT(i, k)] = i;
							m_able[AT(i, k)] = 1
						:: else
						fi
					};
					skip
				}
			:: else
			fi;
			i = 0;
			p = 0
		}
#endif
	:: !faults -> break
	od;
	/* The tick: nodes speak, messages come. */
	do
	:: atomic {
		select(i : 0 .. N - 1);
		if
		:: RUNS(i) && !stepped[i] && !(woke[i] && MAIL(i)) ->
			d_step {
				wake(i);
				stepped[i] = 1;
				judge(i);
				say(i)
			}
		:: else
		fi;
		i = 0;
		p = 0
	   }
	:: atomic {
		select(i : 0 .. N - 1);
		select(p : 0 .. N - 1);
		if
		:: slot[AT(p, i)] && RUNS(i) -> d_step { hear(i, p) }
#if LOSSES > 0
		:: slot[AT(p, i)] && SPENT(losses, LOSSES) ->
			d_step { clear_slot(AT(p, i)); spend(losses, LOSSES) }
#endif
		:: else
		fi;
		i = 0;
		p = 0
	   }
	:: atomic {
		d_step {
			r_all = 1;
			for (k : 0 .. N - 1) {
				if
				:: RUNS(k) && !stepped[k] -> r_all = 0
				:: else
				fi;
				for (j : 0 .. N - 1) {
					if
					:: slot[AT(j, k)] && RUNS(k) -> r_all = 0
					:: else
					fi
				}
			};
			skip
		};
		if
		:: r_all ->
			d_step { tick() };
			i = 0;
			p = 0;
			goto again
		:: else
		fi;
		i = 0;
		p = 0
	   }
	od
}
