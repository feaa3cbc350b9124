/*
 * cursor.h - bounds-checked reading and writing of external bytes.
 *
 * A cursor walks a buffer that the caller owns. The first access that would leave the buffer sets
 * a sticky error: from then on reads give zeros and writes do nothing, so a parser reads straight
 * through and asks once, at the end, with *_ok(). Sizes are compared by subtraction and cannot
 * wrap. All multi-byte values are in network order on the wire and in host order here.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rcur {
	const uint8_t *pos;
	const uint8_t *end;
	bool bad;
};

struct wcur {
	uint8_t *start;
	uint8_t *pos;
	uint8_t *end;
	bool bad;
};

static inline struct rcur rcur_init(const void *data, size_t size)
{
	const uint8_t *p = data;
	return (struct rcur){.pos = p, .end = p + size, .bad = false};
}

static inline bool rcur_ok(const struct rcur *c)
{
	return !c->bad;
}

static inline size_t rcur_left(const struct rcur *c)
{
	return c->bad ? 0 : (size_t)(c->end - c->pos);
}

/* The next `size` bytes, or NULL (and the sticky error) when there are fewer. */
static inline const uint8_t *rcur_take(struct rcur *c, size_t size)
{
	if (rcur_left(c) < size || c->bad) {
		c->bad = true;
		return NULL;
	}
	const uint8_t *p = c->pos;
	c->pos += size;
	return p;
}

static inline void rcur_skip(struct rcur *c, size_t size)
{
	(void)rcur_take(c, size);
}

static inline void rcur_bytes(struct rcur *c, void *out, size_t size)
{
	const uint8_t *p = rcur_take(c, size);
	if (p)
		memcpy(out, p, size);
	else
		memset(out, 0, size);
}

static inline uint8_t rcur_u8(struct rcur *c)
{
	const uint8_t *p = rcur_take(c, 1);
	return p ? p[0] : 0;
}

static inline uint16_t rcur_u16(struct rcur *c)
{
	const uint8_t *p = rcur_take(c, 2);
	return p ? (uint16_t)((uint32_t)p[0] << 8 | p[1]) : 0;
}

static inline uint32_t rcur_u32(struct rcur *c)
{
	const uint8_t *p = rcur_take(c, 4);
	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

static inline uint64_t rcur_u64(struct rcur *c)
{
	uint64_t hi = rcur_u32(c);
	return hi << 32 | rcur_u32(c);
}

static inline struct wcur wcur_init(void *data, size_t size)
{
	uint8_t *p = data;
	return (struct wcur){.start = p, .pos = p, .end = p + size, .bad = false};
}

static inline bool wcur_ok(const struct wcur *c)
{
	return !c->bad;
}

static inline size_t wcur_size(const struct wcur *c)
{
	return (size_t)(c->pos - c->start);
}

static inline size_t wcur_left(const struct wcur *c)
{
	return c->bad ? 0 : (size_t)(c->end - c->pos);
}

/* Room for `size` bytes to be filled in by the caller, or NULL (and the sticky error). */
static inline uint8_t *wcur_room(struct wcur *c, size_t size)
{
	if (wcur_left(c) < size || c->bad) {
		c->bad = true;
		return NULL;
	}
	uint8_t *p = c->pos;
	c->pos += size;
	return p;
}

static inline void wcur_bytes(struct wcur *c, const void *in, size_t size)
{
	uint8_t *p = wcur_room(c, size);
	if (p && size > 0)
		memcpy(p, in, size);
}

static inline void wcur_u8(struct wcur *c, uint8_t v)
{
	wcur_bytes(c, &v, 1);
}

static inline void wcur_u16(struct wcur *c, uint16_t v)
{
	uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};
	wcur_bytes(c, b, sizeof(b));
}

static inline void wcur_u32(struct wcur *c, uint32_t v)
{
	wcur_u16(c, (uint16_t)(v >> 16));
	wcur_u16(c, (uint16_t)v);
}

static inline void wcur_u64(struct wcur *c, uint64_t v)
{
	wcur_u32(c, (uint32_t)(v >> 32));
	wcur_u32(c, (uint32_t)v);
}

#endif
