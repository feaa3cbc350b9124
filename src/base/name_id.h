/*
 * name_id.h - a number made of a name, the same in every process: by it cookies name targets and
 * services, which dispatchers have in common under their names alone.
 *
 * Two names may have one id; the configuration refuses that among the targets of one service.
 */
#ifndef BASE_NAME_ID_H
#define BASE_NAME_ID_H

#include <stdint.h>

/* Never 0. */
uint32_t name_id(const char *name);

#endif
