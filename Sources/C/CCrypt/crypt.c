#include "include/CCrypt.h"

#include <crypt.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef char *(*crypt_function)(const char *, const char *, struct crypt_data *);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static crypt_function hash_phrase;
static const char *problem;

static void load(void) {
    void *library = dlopen("libcrypt.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        problem = "cannot load libcrypt.so.1: install libcrypt1";
        return;
    }
    // POSIX lets an object pointer stand for a function's, C does not. The library stays loaded.
    *(void **)&hash_phrase = dlsym(library, "crypt_r");
    if (hash_phrase == NULL) problem = "libcrypt.so.1 has no crypt_r: install libcrypt1";
}

const char *martlet_crypt_load(void) {
    pthread_once(&once, load);
    return problem;
}

bool martlet_crypt_verify(const char *phrase, const char *hash) {
    struct crypt_data *data = calloc(1, sizeof(*data));
    if (data == NULL || hash_phrase == NULL) {
        free(data);
        return false;
    }
    const char *result = hash_phrase(phrase, hash, data);
    bool equal = false;
    // A setting that is not known gives a text that begins with an asterisk, or nothing.
    if (result != NULL && result[0] != '*') {
        size_t length = strlen(hash);
        unsigned char difference = strlen(result) == length ? 0 : 1;
        for (size_t index = 0; index < length && result[index] != 0; index++)
            difference |= (unsigned char)(result[index] ^ hash[index]);
        equal = difference == 0;
    }
    explicit_bzero(data, sizeof(*data));
    free(data);
    return equal;
}
