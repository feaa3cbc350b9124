/*
 * home_query.pml - three members find the home of one established TCP flow, and take it over when
 * it is lost (FC-5, FC-17).
 *
 * One tick is about a third of dead-after. In a tick each member that runs does its timers once and
 * sends a packet of the flow, if one comes there; messages wait in a slot for each kind and pair of
 * members and are delivered, or lost, in any order before the tick ends. Between ticks members
 * crash and start, links are cut and healed, the flow ends. One packet is marked: it comes once,
 * to any member at any moment, and is counted when it is delivered.
 *
 * Names are those of src/firewall; doc/model.md says what is left out.
 *
 * Parameters: CUTS, LOSSES, CRASHES, ENDS: how often. MUTANT_*: a wrong protocol.
 */
#define N 3
#ifndef CUTS
#define CUTS 0
#endif
#ifndef LOSSES
#define LOSSES 0
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef ENDS
#define ENDS 0
#endif
#define NOBODY N
#define DEAD 3	 /* ticks of silence after which a member is down */
#define SILENT 2 /* of its home, after which a backup whose query ran out takes over */
#define TRIES 2	 /* ticks a query is open */
#define TELL 3	 /* rounds in which one that is back is told what was taken over */
#define TERM_MAX 3
#define SETTLE 7
#define AT(i, k) ((i) * N + (k))

/* Of each member: its state, its forward entry, its query, what it holds for others */
bool h[N];
byte term[N];
byte fw[N] = NOBODY;
byte fw_term[N];
byte fw_query[N];
bool fw_boot[N]; /* boot of the member it names, when it was learned */
byte q_open[N];	 /* ticks left */
byte q_id[N];
bool q_marked[N]; /* the packet it carries is the marked one */
byte bk[N] = NOBODY;
byte bk_term[N];
bool orphan[N]; /* its home has another boot */
byte seen[N * N];
bool seen_delivered[N * N];
byte tell[N];

/* What is known of members */
byte age[N * N];
bool boot_of[N * N];
byte quiet[N];

/* Messages from i to k: 0 = none */
byte m_query[N * N];   /* 1 + 2 marked + 4 id */
byte m_confirm[N * N]; /* 1 + 2 delivered + 4 id + 16 term */
byte m_forward[N * N]; /* 1 + 2 marked */
bool m_not_home[N * N];
bool m_release[N * N];
byte m_taken[N * N];  /* 1 + term */
byte m_backup[N * N]; /* 1 + term */
byte m_yield[N * N];  /* 1 + 2 winner + 8 term */

/* The world */
bool up[N] = 1;
bool boot[N];
bool link_up[N * N] = 1;
bool stepped[N];
bool marked; /* has come */
byte delivered;
byte cuts, losses, crashes, ends, stable;

hidden byte k, j, x, r_d, r_n, r_t, r_a;

c_code {
	static int reached_before[32];
	static void was_reached(int id, const char *what)
	{
		if (reached_before[id]++ == 0)
			printf("reached: %s\n", what);
	}
};
#define REACHED(id, what) c_code { was_reached(id, what); }

#define DOWN(i, p) (age[AT(i, p)] >= DEAD)
#define REACHES(i, p) (up[p] && link_up[AT(i, p)])
/* A boot is believed once it is proven; what it says before is never accepted. */
#define HEARD(i, p) (REACHES(i, p) && boot_of[AT(p, i)] == boot[i])

#define put(m, i, p, v)                       \
	if                                    \
	:: HEARD(i, p) -> m[AT(i, p)] = (v)   \
	:: else                               \
	fi

inline deliver(i, mark)
{
	if
	:: mark ->
		delivered++;
		printf("%d delivers\n", i);
		REACHED(0, "delivered");
		assert(delivered <= 1)
	:: else
	fi
}

inline say_taken(i)
{
	for (k : 0 .. N - 1) {
		if
		:: k != i -> put(m_taken, i, k, 1 + term[i])
		:: else
		fi
	};
	skip
}

inline follow(i, p, t)
{
	fw[i] = p;
	fw_term[i] = t;
	fw_query[i] = 0;
	fw_boot[i] = boot_of[AT(i, p)]
}

inline unfollow(i)
{
	fw[i] = NOBODY;
	fw_term[i] = 0;
	fw_query[i] = 0;
	fw_boot[i] = 0
}

inline drop_state(i)
{
	h[i] = 0;
	term[i] = 0
}

inline drop_backup(i)
{
	bk[i] = NOBODY;
	bk_term[i] = 0;
	orphan[i] = 0
}

#define IS_ORPHAN(i) (bk[i] != NOBODY && (orphan[i] || (DOWN(i, bk[i]) && quiet[i] == 0)))

inline promote(i)
{
	printf("%d takes over\n", i);
	REACHED(1, "taken over");
	h[i] = 1;
#ifdef MUTANT_TERM
	term[i] = bk_term[i];
#else
	term[i] = (bk_term[i] < TERM_MAX -> bk_term[i] + 1 : TERM_MAX);
#endif
	drop_backup(i);
	unfollow(i);
	tell[i] = TELL;
	say_taken(i)
}

/* t, by p, against the state of i */
#define GIVES_WAY(i, t, p) (term[i] < (t) || (term[i] == (t) && (p) < (i)))

/* The same query goes to all others. */
inline ask(i)
{
	printf("%d asks, id %d, marked %d\n", i, q_id[i], q_marked[i]);
	for (k : 0 .. N - 1) {
		if
		:: k != i -> put(m_query, i, k, 1 + 2 * q_marked[i] + 4 * q_id[i])
		:: else
		fi
	};
	skip
}

/* A packet from outside comes to i. */
inline packet(i, mark)
{
	printf("%d: packet, marked %d\n", i, mark);
	if
	:: fw[i] != NOBODY ->
		if
		:: DOWN(i, fw[i]) -> unfollow(i)
		:: else
		fi
	:: else
	fi;
	if
	:: !h[i] && fw[i] == NOBODY && IS_ORPHAN(i) -> promote(i)
	:: else
	fi;
	if
	:: h[i] -> deliver(i, mark)
	:: !h[i] && fw[i] != NOBODY -> put(m_forward, i, fw[i], 1 + 2 * (mark))
	:: else ->
		if
		:: q_open[i] == 0 ->
			REACHED(2, "asked");
			q_open[i] = TRIES;
			q_id[i] = 3 - (q_id[i] == 0 -> 2 : q_id[i]);
			q_marked[i] = (mark);
			/* Ids never repeat: nothing of an earlier query with this number is left. */
			for (x : 0 .. N - 1) {
				if
				:: seen[AT(x, i)] == q_id[i] ->
					seen[AT(x, i)] = 0;
					seen_delivered[AT(x, i)] = 0
				:: else
				fi;
				if
				:: ((m_confirm[AT(x, i)] >> 2) & 3) == q_id[i] -> m_confirm[AT(x, i)] = 0
				:: else
				fi
			};
			if
			:: fw_query[i] == q_id[i] -> fw_query[i] = 0
			:: else
			fi;
			ask(i)
		:: else
		fi
	fi
}

inline backup_choice(i)
{
	r_n = NOBODY;
	for (k : 0 .. N - 1) {
		if
		:: k != i && !DOWN(i, k) -> r_n = k
		:: else
		fi
	};
	skip
}

/* The home may not be alone: it does not deliver what a query carries. */
#define DOUBTS(i)                                          \
	(term[i] > 0 || age[AT(i, (i + 1) % N)] >= SILENT || \
	 age[AT(i, (i + 2) % N)] >= SILENT)

inline on_query(i, p)
{
	printf("%d: query of %d: %d\n", i, p, m_query[AT(p, i)]);
	r_t = m_query[AT(p, i)];
	m_query[AT(p, i)] = 0;
	if
	:: !h[i] && IS_ORPHAN(i) -> promote(i)
	:: else
	fi;
	if
	:: h[i] ->
		if
#ifndef MUTANT_SEEN
		:: seen[AT(i, p)] == r_t >> 2 -> REACHED(3, "asked again")
#endif
		:: else ->
			seen[AT(i, p)] = r_t >> 2;
			seen_delivered[AT(i, p)] = !DOUBTS(i);
			if
			:: seen_delivered[AT(i, p)] -> deliver(i, (r_t >> 1) & 1)
			:: else
			fi
		fi;
		put(m_confirm, i, p, 1 + 2 * seen_delivered[AT(i, p)] + 4 * (r_t >> 2) + 16 * term[i])
	:: !h[i] && bk[i] != NOBODY ->
		/* Its backup: the home may deliver it, and be lost. */
		if
		:: seen[AT(i, p)] != r_t >> 2 ->
			seen[AT(i, p)] = r_t >> 2;
			seen_delivered[AT(i, p)] = 1
		:: else
		fi
	:: else
	fi
}

inline on_confirm(i, p)
{
	printf("%d: confirm of %d: %d\n", i, p, m_confirm[AT(p, i)]);
	r_t = m_confirm[AT(p, i)];
	m_confirm[AT(p, i)] = 0;
	r_d = (r_t >> 1) & 1;
	r_a = (r_t >> 2) & 3;
	r_t = r_t >> 4;
	if
	:: q_open[i] > 0 && q_id[i] == r_a ->
		REACHED(4, "confirmed");
		if
		:: !h[i] ->
			follow(i, p, r_t);
			fw_query[i] = r_a;
			if
#ifdef MUTANT_DELIVERED
			:: q_marked[i] -> put(m_forward, i, p, 3)
#else
			:: q_marked[i] && !r_d -> put(m_forward, i, p, 3)
#endif
			:: else
			fi
		:: else
		fi;
		q_open[i] = 0;
		q_marked[i] = 0
	:: q_open[i] == 0 && fw[i] != NOBODY && fw_query[i] == r_a && fw[i] != p ->
		REACHED(5, "confirmed by two");
		if
		:: r_t > fw_term[i] || (r_t == fw_term[i] && r_t > 0 && p < fw[i]) ->
			put(m_yield, i, fw[i], 1 + 2 * p + 8 * r_t);
			follow(i, p, r_t);
			fw_query[i] = r_a
		:: else -> put(m_yield, i, p, 1 + 2 * fw[i] + 8 * fw_term[i])
		fi
	:: else
	fi
}

inline on_forward(i, p)
{
	printf("%d: forward of %d: %d\n", i, p, m_forward[AT(p, i)]);
	r_t = m_forward[AT(p, i)];
	m_forward[AT(p, i)] = 0;
	if
	:: !h[i] && IS_ORPHAN(i) -> promote(i)
	:: else
	fi;
	if
	:: h[i] -> deliver(i, (r_t >> 1) & 1)
	:: else ->
		REACHED(6, "not home");
		skip;
#ifndef MUTANT_NOT_HOME
		put(m_not_home, i, p, 1)
#endif
	fi
}

inline on_taken(i, p)
{
	printf("%d: taken of %d: %d\n", i, p, m_taken[AT(p, i)]);
	r_t = m_taken[AT(p, i)] - 1;
	m_taken[AT(p, i)] = 0;
	if
	:: bk[i] != NOBODY && bk[i] != p -> drop_backup(i)
	:: else
	fi;
	if
	:: h[i] && GIVES_WAY(i, r_t, p) ->
		REACHED(7, "gives way");
		drop_state(i);
		follow(i, p, r_t)
	:: h[i] && !GIVES_WAY(i, r_t, p) && term[i] > 0 -> say_taken(i)
	:: !h[i] && fw[i] != NOBODY && fw[i] != p -> follow(i, p, r_t)
	:: else
	fi
}

inline hold(i, p)
{
	if
	:: bk[i] != NOBODY && bk_term[i] > r_t && bk[i] != p -> skip
	:: else ->
		bk[i] = p;
		bk_term[i] = r_t;
		orphan[i] = 0
	fi
}

inline on_backup(i, p)
{
	printf("%d: backup of %d: %d\n", i, p, m_backup[AT(p, i)]);
	r_t = m_backup[AT(p, i)] - 1;
	m_backup[AT(p, i)] = 0;
	if
	:: h[i] && !(r_t == 0 && term[i] == 0) ->
		if
		:: GIVES_WAY(i, r_t, p) ->
			drop_state(i);
			follow(i, p, r_t);
			hold(i, p)
		:: else -> say_taken(i)
		fi
	:: else -> hold(i, p)
	fi
}

inline on_yield(i, p)
{
	printf("%d: yield of %d: %d\n", i, p, m_yield[AT(p, i)]);
	r_t = m_yield[AT(p, i)];
	m_yield[AT(p, i)] = 0;
	r_a = (r_t >> 1) & 3;
	r_t = r_t >> 3;
	if
	:: h[i] && r_a != i && term[i] <= r_t ->
		REACHED(8, "yields");
		drop_state(i);
		follow(i, r_a, r_t)
	:: else
	fi
}

#define on_end(m, i, p)             \
	m[AT(p, i)] = 0;            \
	if                          \
	:: fw[i] == p -> unfollow(i) \
	:: else                     \
	fi

/* Timers, backups, what is to be told. */
inline step(i)
{
	stepped[i] = 1;
	if
	:: q_open[i] > 1 ->
		q_open[i]--;
		ask(i)
	:: q_open[i] == 1 ->
		q_open[i] = 0;
		q_marked[i] = 0; /* perhaps delivered: never again */
		if
		:: !h[i] && bk[i] != NOBODY ->
			if
			:: IS_ORPHAN(i) || age[AT(i, bk[i])] >= SILENT ->
				REACHED(9, "rescued");
				promote(i)
			:: else
			fi
		:: else
		fi
	:: else
	fi;
	if
	:: h[i] ->
		backup_choice(i);
		if
		:: r_n != NOBODY -> put(m_backup, i, r_n, 1 + term[i])
		:: else
		fi;
		if
		:: tell[i] > 0 && term[i] > 0 ->
			tell[i]--;
			say_taken(i)
		:: else
		fi
	:: else -> tell[i] = 0
	fi
}

/* Hellos, and challenges of new boots. */
inline hellos()
{
	for (k : 0 .. N - 1) {
		for (j : 0 .. N - 1) {
			if
			:: k == j || !up[k] -> skip
			:: else ->
				if
				:: up[j] && REACHES(j, k) && boot_of[AT(k, j)] != boot[j] ->
					REACHED(10, "another boot is proven");
					boot_of[AT(k, j)] = boot[j];
					age[AT(k, j)] = 0;
					if
					:: fw[k] == j -> unfollow(k)
					:: else
					fi;
					if
					:: bk[k] == j -> orphan[k] = 1
					:: else
					fi;
					tell[k] = (h[k] && term[k] > 0 -> TELL : 0)
				:: up[j] && REACHES(j, k) && boot_of[AT(k, j)] == boot[j] ->
					if
					:: DOWN(k, j) ->
						REACHED(11, "back with its boot");
						quiet[k] = DEAD;
						tell[k] = (h[k] && term[k] > 0 -> TELL : 0)
					:: else
					fi;
					age[AT(k, j)] = 0
				:: else ->
					if
					:: age[AT(k, j)] < DEAD -> age[AT(k, j)]++
					:: else
					fi;
					if
					:: DOWN(k, j) && fw[k] == j -> unfollow(k)
					:: else
					fi
				fi
			fi
		}
	}
}

inline check()
{
	r_n = 0;
	r_a = 1;
	for (k : 0 .. N - 1) {
		if
		:: up[k] && h[k] -> r_n++
		:: else
		fi;
		/* What was learned of an old boot is over when the new one is proven. */
		assert(!up[k] || fw[k] == NOBODY || fw_boot[k] == boot_of[AT(k, fw[k])]);
		for (j : 0 .. N - 1) {
			if
			:: up[k] && up[j] && !link_up[AT(k, j)] -> r_a = 0
			:: else
			fi
		}
	};
	if
	:: r_n > 1 -> REACHED(12, "two homes")
	:: else
	fi;
	if
	:: stable >= SETTLE && r_a ->
		REACHED(13, "settled");
		/* One home at most, */
		assert(r_n <= 1);
		for (k : 0 .. N - 1) {
			/* and forward entries only to it. */
			if
			:: up[k] && fw[k] != NOBODY -> assert(h[fw[k]] && !h[k])
			:: else
			fi
		};
		if
		:: r_n == 0 -> REACHED(14, "settled without a home")
		:: else
		fi
	:: else
	fi
}

inline tick()
{
	printf("--- tick: stable %d", stable);
	for (k : 0 .. N - 1) {
		printf(" | %d: up %d home %d/%d forwards to %d holds %d/%d/%d ages %d %d %d", k, up[k], h[k],
		       term[k], fw[k], bk[k], bk_term[k], orphan[k], age[AT(k, 0)], age[AT(k, 1)],
		       age[AT(k, 2)])
	};
	printf("\n");
	check();
	hellos();
	for (k : 0 .. N - 1) {
		stepped[k] = 0;
		if
		:: quiet[k] > 0 -> quiet[k]--
		:: else
		fi
	};
	if
	:: stable < SETTLE -> stable++
	:: else
	fi
}

inline crash(i)
{
	printf("crash %d\n", i);
	up[i] = 0;
	drop_state(i);
	unfollow(i);
	drop_backup(i);
	q_open[i] = 0;
	q_id[i] = 0;
	q_marked[i] = 0;
	tell[i] = 0;
	quiet[i] = 0;
	for (k : 0 .. N - 1) {
		seen[AT(i, k)] = 0;
		seen_delivered[AT(i, k)] = 0;
		age[AT(i, k)] = 0;
		boot_of[AT(i, k)] = 0
	};
	skip
}

/* It has proven to itself who is there. */
inline start(i)
{
	printf("start %d\n", i);
	up[i] = 1;
	boot[i] = !boot[i];
	for (k : 0 .. N - 1) {
		boot_of[AT(i, k)] = boot[k];
		seen[AT(k, i)] = 0;
		seen_delivered[AT(k, i)] = 0
	};
	skip
}

inline any(i, p)
{
	r_d = m_query[AT(p, i)] || m_confirm[AT(p, i)] || m_forward[AT(p, i)] ||
	      m_not_home[AT(p, i)] || m_release[AT(p, i)] || m_taken[AT(p, i)] ||
	      m_backup[AT(p, i)] || m_yield[AT(p, i)]
}

active proctype world()
{
	byte i, p;
	bool faults;

	h[1] = 1;
again:
	faults = 1;
	do
	:: faults -> atomic { faults = 0 }
#if CUTS > 0
	:: faults && cuts < CUTS ->
		atomic {
			select(i : 0 .. N - 2);
			select(p : 1 .. N - 1);
			if
			:: i < p ->
				d_step {
					link_up[AT(i, p)] = !link_up[AT(i, p)];
					link_up[AT(p, i)] = link_up[AT(i, p)];
					cuts++;
					stable = 0
				}
			:: else
			fi;
			i = 0;
			p = 0
		}
#endif
#if CRASHES > 0
	:: faults ->
		atomic {
			select(i : 0 .. N - 1);
			if
			:: up[i] && crashes < CRASHES -> d_step { crash(i); crashes++; stable = 0; skip }
			:: !up[i] -> d_step { start(i); stable = 0; skip }
			:: else
			fi;
			i = 0
		}
#endif
#if ENDS > 0
	:: faults && ends < ENDS ->
		atomic {
			select(i : 0 .. N - 1);
			if
			:: up[i] && h[i] ->
				d_step {
					REACHED(15, "ends");
					drop_state(i);
					for (k : 0 .. N - 1) {
						if
						:: k != i ->
							put(m_release, i, k, 1);
							if
							:: REACHES(i, k) && bk[k] == i -> drop_backup(k)
							:: else
							fi
						:: else
						fi
					};
					ends++;
					stable = 0
				}
			:: else
			fi;
			i = 0
		}
#endif
#ifdef MUTANT_BOOT
	/* A recording of a confirm or taken of the boot before. */
	:: faults ->
		atomic {
			select(i : 0 .. N - 1);
			select(p : 0 .. N - 1);
			if
			:: up[i] && i != p && boot[p] && boot_of[AT(i, p)] == boot[p] && fw[i] != p &&
				   q_open[i] > 0 ->
				d_step {
					follow(i, p, 0);
					fw_boot[i] = !boot[p];
					q_open[i] = 0;
					q_marked[i] = 0
				}
			:: else
			fi;
			i = 0;
			p = 0
		}
#endif
	:: !faults -> break
	od;
	do
	:: atomic {
		select(i : 0 .. N - 1);
		if
		:: up[i] && !stepped[i] -> d_step { step(i); packet(i, 0); skip }
		:: up[i] && !stepped[i] && stable == 0 -> d_step { step(i); skip }
		:: up[i] && !marked -> d_step { marked = 1; packet(i, 1); skip }
		:: else
		fi;
		i = 0
	   }
	:: atomic {
		select(i : 0 .. N - 1);
		select(p : 0 .. N - 1);
		any(i, p);
		if
		:: !r_d -> skip
		:: r_d && m_query[AT(p, i)] > 0 && up[i] -> d_step { on_query(i, p); skip }
		:: r_d && m_confirm[AT(p, i)] > 0 && up[i] -> d_step { on_confirm(i, p); skip }
		:: r_d && m_forward[AT(p, i)] > 0 && up[i] -> d_step { on_forward(i, p); skip }
		:: r_d && m_taken[AT(p, i)] > 0 && up[i] -> d_step { on_taken(i, p); skip }
		:: r_d && m_backup[AT(p, i)] > 0 && up[i] -> d_step { on_backup(i, p); skip }
		:: r_d && m_yield[AT(p, i)] > 0 && up[i] -> d_step { on_yield(i, p); skip }
		:: r_d && m_not_home[AT(p, i)] > 0 && up[i] -> d_step { on_end(m_not_home, i, p); skip }
		:: r_d && m_release[AT(p, i)] > 0 && up[i] -> d_step { on_end(m_release, i, p); skip }
#if LOSSES > 0
		:: r_d && losses < LOSSES ->
			if
			:: m_query[AT(p, i)] > 0 -> m_query[AT(p, i)] = 0
			:: m_confirm[AT(p, i)] > 0 -> m_confirm[AT(p, i)] = 0
			:: m_forward[AT(p, i)] > 0 -> m_forward[AT(p, i)] = 0
			:: m_taken[AT(p, i)] > 0 -> m_taken[AT(p, i)] = 0
			:: m_backup[AT(p, i)] > 0 -> m_backup[AT(p, i)] = 0
			:: m_yield[AT(p, i)] > 0 -> m_yield[AT(p, i)] = 0
			:: m_not_home[AT(p, i)] > 0 -> m_not_home[AT(p, i)] = 0
			:: m_release[AT(p, i)] > 0 -> m_release[AT(p, i)] = 0
			fi;
			losses++;
			stable = 0
#endif
		fi;
		i = 0;
		p = 0
	   }
	:: atomic {
		d_step {
			r_a = 1;
			for (x : 0 .. N - 1) {
				if
				:: up[x] && !stepped[x] -> r_a = 0
				:: else
				fi;
				for (j : 0 .. N - 1) {
					any(x, j);
					if
					:: r_d -> r_a = 0
					:: else
					fi
				}
			};
			skip
		};
		if
		:: r_a ->
			d_step { tick(); skip };
			i = 0;
			p = 0;
			goto again
		:: else
		fi
	   }
	od
}
