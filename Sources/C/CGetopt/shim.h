#pragma once
#include <getopt.h>

/* getopt_long's globals through functions: Swift refuses mutable globals of C, and one owner uses them, on one thread. */

/* Starts over, and leaves the printing of errors to the caller. */
static inline void getopt_restart(void) {
    opterr = 0;
    optind = 0;
}

/* The option last refused, or 0 when its name is not known. */
static inline int getopt_refused(void) { return optopt; }

/* Place of the next word to be looked at. */
static inline int getopt_next(void) { return optind; }

/* The value of the option last found, or NULL. */
static inline const char *getopt_value(void) { return optarg; }
