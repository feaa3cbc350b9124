#include "engine/actions.h"

#include <stdlib.h>

struct actions *actions_new(void)
{
	struct actions *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->arena = malloc(ACTIONS_ARENA);
	if (!a->arena) {
		free(a);
		return NULL;
	}
	return a;
}

void actions_free(struct actions *a)
{
	if (!a)
		return;
	free(a->arena);
	free(a);
}

uint8_t *actions_room(struct actions *a, size_t size)
{
	size_t need = (size + 7) & ~(size_t)7;
	uint8_t *p;

	if (need < size || need > ACTIONS_ARENA - a->arena_used)
		return NULL;
	p = a->arena + a->arena_used;
	a->arena_used += need;
	return p;
}

#define NOTE_NAME(sym, name, group, text) name,
#define NOTE_GROUP(sym, name, group, text) group,
#define NOTE_TEXT(sym, name, group, text) text,

const char *note_name(enum note_type t)
{
	static const char *const names[] = {NOTE_LIST(NOTE_NAME)};
	return names[t];
}

const char *note_group(enum note_type t)
{
	static const char *const groups[] = {NOTE_LIST(NOTE_GROUP)};
	return groups[t];
}

const char *note_text(enum note_type t)
{
	static const char *const texts[] = {NOTE_LIST(NOTE_TEXT)};
	return texts[t];
}
