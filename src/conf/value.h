/*
 * value.h - texts of the configuration to numbers, times, names and addresses.
 *
 * All return 0, -EINVAL when the text has the wrong form, or -ERANGE when only its size is wrong.
 */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/params.h"

/* Decimal digits. */
int value_number(uint32_t *out, const char *text, uint32_t lo, uint32_t hi);

/* Digits and a unit: "20ms", "30s", "5m", "2h", "1d". */
int value_time(uint32_t *out_ms, const char *text, uint32_t lo, uint32_t hi);

/* The same in whole seconds: "0s", "90s", "1d". */
int value_seconds(uint32_t *out_s, const char *text, uint32_t lo, uint32_t hi);

/* "true", "yes", "on" / "false", "no", "off". */
int value_bool(bool *out, const char *text);

/* Index in a NULL-terminated list of words. */
int value_word(uint32_t *out, const char *text, const char *const *words);

bool value_is_name(const char *text);
bool value_is_device(const char *text);
/* A token of HTTP (RFC 9110 section 5.6.2). */
bool value_is_token(const char *text);
/* The name of a host: labels of letters, digits, '-' and '_', with dots between them. */
bool value_is_host(const char *text);

/* "80" or "8000-8100". -ERANGE also when the range runs backwards. */
int value_ports(struct range *out, const char *text);

/* Protocol by name or number; 256 = any. */
#define VALUE_ANY_PROTOCOL 256
int value_protocol(uint32_t *out, const char *text);

/* ICMP types, "echo-request", "8" or "3/4", of ICMP or of ICMPv6: lo = type without
 * PARAMS_ICMP6, hi = code or PARAMS_ANY_CODE. A name of the other family is -EINVAL. */
int value_icmp_type(struct range *out, const char *text, bool v6);

#endif
