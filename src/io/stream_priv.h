/*
 * stream_priv.h - between the files of the streams. Internal to src/io.
 */
#ifndef IO_STREAM_PRIV_H
#define IO_STREAM_PRIV_H

#include "io/stream.h"

/* A call on the stream ended with `error`: AGAIN and `want` set when it should be tried again, else
 * the stream has failed. */
enum stream_result stream_stopped(struct stream *s, int error, uint8_t want);

#endif
