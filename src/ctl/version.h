/*
 * version.h - the version of this tool, from the build.
 */
#ifndef CTL_VERSION_H
#define CTL_VERSION_H

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unversioned"
#endif

#endif
