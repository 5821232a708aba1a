#include "include/CCurl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

struct martlet_curl_table martlet_curl;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *problem;

static void load(void) {
    // The development package's plain libcurl.so may be another flavour; this is the ABI of <curl/curl.h>.
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        problem = "cannot load libcurl.so.4: install libcurl4";
        return;
    }
    // POSIX lets an object pointer stand for a function's, C does not: the pointers are written as objects. The library
    // stays loaded for the life of the process.
#define RESOLVE(name) \
    *(void **)&martlet_curl.name = dlsym(library, "curl_" #name); \
    if (martlet_curl.name == NULL) { \
        problem = "libcurl.so.4 has no curl_" #name ": install libcurl4 7.87 or later"; \
        return; \
    }
    MARTLET_CURL_FUNCTIONS(RESOLVE)
#undef RESOLVE
    if (martlet_curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) problem = "libcurl cannot be set up";
}

const char *martlet_curl_load(void) {
    pthread_once(&once, load);
    return problem;
}

static curl_socket_t refuse_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)purpose;
    (void)address;
    *(_Bool *)context = 1;
    return CURL_SOCKET_BAD;
}

void martlet_curl_set_reuse_only(CURL *handle, _Bool *refused) {
    // Both options exist since 7.17 and take a null pointer, so that they cannot fail.
    martlet_curl.easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, refused ? refuse_socket : NULL);
    martlet_curl.easy_setopt(handle, CURLOPT_OPENSOCKETDATA, refused);
}

static int list_socket(void *context, curl_socket_t opened, curlsocktype purpose) {
    (void)purpose;
    struct martlet_curl_sockets *list = context;
    if (list->count < MARTLET_CURL_MAX_SOCKETS) list->open[list->count++] = opened;
    return CURL_SOCKOPT_OK;
}

static int close_listed_socket(void *context, curl_socket_t closed) {
    struct martlet_curl_sockets *list = context;
    for (int index = 0; index < list->count; index++) {
        if (list->open[index] != closed) continue;
        list->open[index] = list->open[--list->count];
        break;
    }
    return close(closed);
}

CURLcode martlet_curl_list_sockets(CURL *handle, struct martlet_curl_sockets *list) {
    CURLcode code = martlet_curl.easy_setopt(handle, CURLOPT_SOCKOPTFUNCTION, list_socket);
    if (!code) code = martlet_curl.easy_setopt(handle, CURLOPT_SOCKOPTDATA, list);
    if (!code) code = martlet_curl.easy_setopt(handle, CURLOPT_CLOSESOCKETFUNCTION, close_listed_socket);
    return code ? code : martlet_curl.easy_setopt(handle, CURLOPT_CLOSESOCKETDATA, list);
}
