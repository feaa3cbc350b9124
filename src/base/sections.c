#include "base/sections.h"

#include <errno.h>

void sections_begin(struct sections_out *o, sections_put *put, void *arg)
{
	o->put = put;
	o->arg = arg;
	o->error = 0;
	o->type = o->version = 0;
	o->n = 0;
	o->used = SECTIONS_HEAD;
}

static void flush(struct sections_out *o)
{
	struct wcur head = wcur_init(o->block, SECTIONS_HEAD);

	if (o->n > 0 && o->error == 0) {
		wcur_u16(&head, o->type);
		wcur_u16(&head, o->version);
		wcur_u32(&head, o->n);
		wcur_u32(&head, (uint32_t)(o->used - SECTIONS_HEAD));
		o->error = o->put(o->arg, o->block, o->used);
	}
	o->n = 0;
	o->used = SECTIONS_HEAD;
}

void sections_type(struct sections_out *o, uint16_t type, uint16_t version)
{
	flush(o);
	o->type = type;
	o->version = version;
}

struct wcur *sections_item(struct sections_out *o)
{
	if (SECTIONS_BLOCK - o->used < 2 + SECTIONS_ITEM)
		flush(o);
	o->item = wcur_init(o->block + o->used + 2, SECTIONS_ITEM);
	return &o->item;
}

void sections_item_end(struct sections_out *o)
{
	struct wcur length = wcur_init(o->block + o->used, 2);

	if (!wcur_ok(&o->item)) {
		if (o->error == 0)
			o->error = -EMSGSIZE;
		return;
	}
	wcur_u16(&length, (uint16_t)wcur_size(&o->item));
	o->used += 2 + wcur_size(&o->item);
	o->n++;
}

int sections_end(struct sections_out *o)
{
	flush(o);
	return o->error;
}

struct sections_in sections_read(const void *data, size_t size)
{
	return (struct sections_in){.rest = rcur_init(data, size), .body = rcur_init(data, 0)};
}

bool sections_next(struct sections_in *s)
{
	const uint8_t *body;
	uint32_t length;

	if (!sections_ok(s) || rcur_left(&s->rest) == 0)
		return false;
	s->type = rcur_u16(&s->rest);
	s->version = rcur_u16(&s->rest);
	s->n = rcur_u32(&s->rest);
	length = rcur_u32(&s->rest);
	body = rcur_take(&s->rest, length);
	if (!body)
		return false;
	s->body = rcur_init(body, length);
	return true;
}

bool sections_next_item(struct sections_in *s, struct rcur *item)
{
	const uint8_t *body;
	uint16_t length;

	if (s->n == 0) {
		s->body.bad |= rcur_left(&s->body) > 0;
		return false;
	}
	s->n--;
	length = rcur_u16(&s->body);
	body = rcur_take(&s->body, length);
	if (!body)
		return false;
	*item = rcur_init(body, length);
	return true;
}

bool sections_ok(const struct sections_in *s)
{
	return rcur_ok(&s->rest) && rcur_ok(&s->body);
}
