#pragma once

#include <stdbool.h>

/* Loads libcrypt.so.1. Returns NULL, or what to do about it. Thread-safe; later calls return the same. */
const char *martlet_crypt_load(void);

/* Whether `phrase` has the hash `hash`, in any form that libcrypt knows (crypt(5)). Takes as long as the hash wants, and
 * 32 KB of heap meanwhile. False too for a hash that is malformed. Needs martlet_crypt_load. Thread-safe. The comparison
 * does not tell by its time how much is equal. */
bool martlet_crypt_verify(const char *phrase, const char *hash);
