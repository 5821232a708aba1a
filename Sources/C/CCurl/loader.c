#include "include/CCurl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

struct martlet_curl_table martlet_curl;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *problem;
// OpenSSL's SSL_CTX_set_alpn_protos, which libcurl brings along; NULL when it uses another library.
static int (*set_protocols)(void *context, const unsigned char *protocols, unsigned int length);

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
    *(void **)&set_protocols = dlsym(library, "SSL_CTX_set_alpn_protos");
    if (martlet_curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) problem = "libcurl cannot be set up";
}

const char *martlet_curl_load(void) {
    pthread_once(&once, load);
    return problem;
}

static CURLcode offer_http2(CURL *handle, void *context, void *user) {
    (void)handle;
    (void)user;
    static const unsigned char protocols[] = {2, 'h', '2'};
    return set_protocols(context, protocols, sizeof protocols) ? CURLE_SSL_CONNECT_ERROR : CURLE_OK;
}

CURLcode martlet_curl_offer_http2(CURL *handle) {
    CURLcode code = martlet_curl.easy_setopt(handle, CURLOPT_SSL_ENABLE_ALPN, 0L);
    if (!code) code = martlet_curl.easy_setopt(handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    if (code || set_protocols == NULL) return code ? code : CURLE_UNKNOWN_OPTION;
    return martlet_curl.easy_setopt(handle, CURLOPT_SSL_CTX_FUNCTION, offer_http2);
}
