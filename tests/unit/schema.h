/*
 * schema.h - whether JSON has the shape that contrib/schema/fwclusterctl.schema.json gives it.
 *
 * Knows the words that file uses: $ref, oneOf, type, enum, const, properties, required,
 * additionalProperties, items, minItems, maxItems, minimum, maximum.
 */
#ifndef TESTS_SCHEMA_H
#define TESTS_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct schema {
	json_t *root;
	char why[512]; /* what was wrong last */
};

static inline bool schema_load(struct schema *s)
{
	s->root = json_load_file(TOP_SRCDIR "/contrib/schema/fwclusterctl.schema.json", 0, NULL);
	s->why[0] = '\0';
	return s->root != NULL;
}

static inline bool schema_fail(struct schema *s, const char *what, const char *at)
{
	snprintf(s->why, sizeof(s->why), "%s: %s", at, what);
	return false;
}

static inline bool schema_is(const json_t *v, const char *type)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "object",   [JSON_ARRAY] = "array", [JSON_STRING] = "string",
		[JSON_INTEGER] = "integer", [JSON_REAL] = "number", [JSON_TRUE] = "boolean",
		[JSON_FALSE] = "boolean",   [JSON_NULL] = "null"};

	return strcmp(names[json_typeof(v)], type) == 0 ||
	       (json_is_integer(v) && strcmp(type, "number") == 0);
}

static inline bool schema_type_ok(const json_t *types, const json_t *v)
{
	const json_t *t;
	size_t i;

	if (json_is_string(types))
		return schema_is(v, json_string_value(types));
	json_array_foreach (types, i, t)
		if (schema_is(v, json_string_value(t)))
			return true;
	return !types;
}

static inline bool schema_listed(const json_t *list, const json_t *v)
{
	const json_t *x;
	size_t i;

	json_array_foreach (list, i, x)
		if (json_equal(x, v))
			return true;
	return !list;
}

static inline bool schema_check(struct schema *s, const json_t *def, const json_t *v,
				const char *at);

static inline bool schema_object(struct schema *s, const json_t *def, const json_t *v,
				 const char *at)
{
	const json_t *props = json_object_get(def, "properties"), *sub, *need;
	const json_t *more = json_object_get(def, "additionalProperties");
	const char *key;
	json_t *x;
	size_t i;

	json_array_foreach (json_object_get(def, "required"), i, need)
		if (!json_object_get(v, json_string_value(need)))
			return schema_fail(s, json_string_value(need), "missing");
	json_object_foreach ((json_t *)v, key, x) {
		sub = json_object_get(props, key);
		if (!sub && json_is_false(more))
			return schema_fail(s, "not in the schema", key);
		if (!sub)
			sub = more;
		if (json_is_object(sub) && !schema_check(s, sub, x, key))
			return false;
	}
	(void)at;
	return true;
}

static inline bool schema_array(struct schema *s, const json_t *def, const json_t *v,
				const char *at)
{
	const json_t *min = json_object_get(def, "minItems"),
		     *max = json_object_get(def, "maxItems");
	const json_t *items = json_object_get(def, "items"), *x;
	size_t i, n = json_array_size(v);

	if ((min && n < (size_t)json_integer_value(min)) ||
	    (max && n > (size_t)json_integer_value(max)))
		return schema_fail(s, "number of items", at);
	json_array_foreach (v, i, x)
		if (items && !schema_check(s, items, x, at))
			return false;
	return true;
}

static inline bool schema_one_of(struct schema *s, const json_t *list, const json_t *v,
				 const char *at)
{
	unsigned n = 0;
	const json_t *x;
	size_t i;

	json_array_foreach (list, i, x)
		n += schema_check(s, x, v, at);
	if (n != 1 && s->why[0] == '\0')
		return schema_fail(s, "fits several", at);
	return n == 1;
}

static inline bool schema_check(struct schema *s, const json_t *def, const json_t *v,
				const char *at)
{
	const char *ref = json_string_value(json_object_get(def, "$ref"));
	const json_t *min = json_object_get(def, "minimum"), *max = json_object_get(def, "maximum");
	const json_t *constant = json_object_get(def, "const");

	if (ref) /* "#/$defs/NAME" */
		return schema_check(
			s,
			json_object_get(json_object_get(s->root, "$defs"), strrchr(ref, '/') + 1),
			v, at);
	if (!def)
		return schema_fail(s, "no such definition", at);
	if (json_object_get(def, "oneOf"))
		return schema_one_of(s, json_object_get(def, "oneOf"), v, at);
	if (!schema_type_ok(json_object_get(def, "type"), v))
		return schema_fail(s, "type", at);
	if (!schema_listed(json_object_get(def, "enum"), v) ||
	    (constant && !json_equal(constant, v)))
		return schema_fail(s, "value", at);
	if (json_is_number(v) && ((min && json_number_value(v) < json_number_value(min)) ||
				  (max && json_number_value(v) > json_number_value(max))))
		return schema_fail(s, "range", at);
	if (json_is_object(v))
		return schema_object(s, def, v, at);
	return json_is_array(v) ? schema_array(s, def, v, at) : true;
}

/* An answer that holds `list` under the name `what`. */
static inline bool schema_answer(struct schema *s, const char *what, json_t *list)
{
	json_t *answer = json_pack("{s:i, s:s, s:O}", "schema", 1, "node", "n", what, list);
	const json_t *one;
	bool ok = false;
	size_t i;

	snprintf(s->why, sizeof(s->why), "no answer \"%s\"", what);
	json_array_foreach (json_object_get(s->root, "oneOf"), i, one)
		if (json_object_get(json_object_get(one, "properties"), what))
			ok = schema_check(s, one, answer, what);
	json_decref(answer);
	return ok;
}

#endif
