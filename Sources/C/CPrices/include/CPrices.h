#ifndef CPRICES_H
#define CPRICES_H

#include <stddef.h>

/* The built-in price table: text in the format that scripts/prices describes, of martlet_prices_length() bytes, for as
   long as the process lives. */
const char *_Nonnull martlet_prices_text(void);
size_t martlet_prices_length(void);

#endif
