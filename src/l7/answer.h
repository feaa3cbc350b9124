/*
 * answer.h - what a parser of this folder says about the bytes it has seen so far.
 *
 * Nothing here reads, writes or allocates: the caller keeps the bytes, calls again when there are
 * more, and does what the answer says. Every parser has a limit at which MORE turns into NO.
 */
#ifndef L7_ANSWER_H
#define L7_ANSWER_H

enum l7_answer {
	L7_MORE,  /* right as far as it goes, not at its end yet */
	L7_MATCH, /* whole, and the results are there */
	L7_NO,	  /* refused: no further byte can change that */
};

#endif
