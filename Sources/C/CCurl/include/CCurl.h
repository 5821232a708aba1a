// libcurl without linking it: the library, with the two dozen others that it needs, is loaded when the first client is
// made. <curl/curl.h> gives types and constants only; its functions are called through a table of pointers. Calling one
// of them directly fails at link time.
//
// martlet_curl_load must have returned NULL before any other function here is called. Each function is what libcurl has
// under its name without the prefix. setopt and getinfo are variadic, which Swift cannot call, so there is one function
// for each kind of argument; those that take an option expect it to be of their kind.
#pragma once
#include <curl/curl.h>

#define MARTLET_CURL_FUNCTIONS(X) \
    X(easy_cleanup) X(easy_getinfo) X(easy_header) X(easy_init) X(easy_recv) X(easy_send) X(easy_setopt) \
    X(easy_strerror) X(free) \
    X(global_init) X(multi_add_handle) X(multi_cleanup) X(multi_info_read) X(multi_init) X(multi_perform) \
    X(multi_poll) X(multi_remove_handle) X(multi_setopt) X(multi_wakeup) X(slist_append) X(slist_free_all) \
    X(url) X(url_cleanup) X(url_get) X(url_set)

struct martlet_curl_table {
#define MARTLET_CURL_FIELD(name) __typeof__(curl_##name) *name;
    MARTLET_CURL_FUNCTIONS(MARTLET_CURL_FIELD)
#undef MARTLET_CURL_FIELD
};

// Written once, by martlet_curl_load.
extern struct martlet_curl_table martlet_curl;

// Loads the library and sets it up, at the first call; any thread may call. NULL, or what is missing, as text that
// stays valid.
const char *martlet_curl_load(void);

static inline CURL *martlet_curl_easy_init(void) { return martlet_curl.easy_init(); }

static inline void martlet_curl_easy_cleanup(CURL *handle) { martlet_curl.easy_cleanup(handle); }

static inline const char *martlet_curl_easy_strerror(CURLcode code) { return martlet_curl.easy_strerror(code); }

static inline CURLHcode martlet_curl_easy_header(CURL *handle, const char *name, size_t index, unsigned int origin,
                                                 int request, struct curl_header **header) {
    return martlet_curl.easy_header(handle, name, index, origin, request, header);
}

static inline void martlet_curl_free(void *memory) { martlet_curl.free(memory); }

static inline struct curl_slist *martlet_curl_slist_append(struct curl_slist *list, const char *text) {
    return martlet_curl.slist_append(list, text);
}

static inline void martlet_curl_slist_free_all(struct curl_slist *list) { martlet_curl.slist_free_all(list); }

static inline CURLU *martlet_curl_url(void) { return martlet_curl.url(); }

static inline void martlet_curl_url_cleanup(CURLU *url) { martlet_curl.url_cleanup(url); }

static inline CURLUcode martlet_curl_url_get(CURLU *url, CURLUPart part, char **text, unsigned int flags) {
    return martlet_curl.url_get(url, part, text, flags);
}

static inline CURLUcode martlet_curl_url_set(CURLU *url, CURLUPart part, const char *text, unsigned int flags) {
    return martlet_curl.url_set(url, part, text, flags);
}

static inline CURLM *martlet_curl_multi_init(void) { return martlet_curl.multi_init(); }

static inline CURLMcode martlet_curl_multi_cleanup(CURLM *multi) { return martlet_curl.multi_cleanup(multi); }

static inline CURLMcode martlet_curl_multi_add_handle(CURLM *multi, CURL *handle) {
    return martlet_curl.multi_add_handle(multi, handle);
}

static inline CURLMcode martlet_curl_multi_remove_handle(CURLM *multi, CURL *handle) {
    return martlet_curl.multi_remove_handle(multi, handle);
}

static inline CURLMcode martlet_curl_multi_perform(CURLM *multi, int *running) {
    return martlet_curl.multi_perform(multi, running);
}

static inline CURLMcode martlet_curl_multi_poll(CURLM *multi, struct curl_waitfd *extra, unsigned int count,
                                                int milliseconds, int *ready) {
    return martlet_curl.multi_poll(multi, extra, count, milliseconds, ready);
}

static inline CURLMcode martlet_curl_multi_wakeup(CURLM *multi) { return martlet_curl.multi_wakeup(multi); }

static inline CURLMsg *martlet_curl_multi_info_read(CURLM *multi, int *left) {
    return martlet_curl.multi_info_read(multi, left);
}

static inline CURLMcode martlet_curl_multi_setopt_long(CURLM *multi, CURLMoption option, long value) {
    return martlet_curl.multi_setopt(multi, option, value);
}

static inline CURLcode martlet_curl_setopt_long(CURL *handle, CURLoption option, long value) {
    return martlet_curl.easy_setopt(handle, option, value);
}

static inline CURLcode martlet_curl_setopt_pointer(CURL *handle, CURLoption option, const void *value) {
    return martlet_curl.easy_setopt(handle, option, value);
}

static inline CURLcode martlet_curl_setopt_off(CURL *handle, CURLoption option, curl_off_t value) {
    return martlet_curl.easy_setopt(handle, option, value);
}

// libcurl copies the bytes.
static inline CURLcode martlet_curl_setopt_blob(CURL *handle, CURLoption option, const void *data, size_t size) {
    struct curl_blob blob = {(void *)data, size, CURL_BLOB_COPY};
    return martlet_curl.easy_setopt(handle, option, &blob);
}

static inline CURLcode martlet_curl_set_writer(CURL *handle, curl_write_callback callback, void *context) {
    CURLcode code = martlet_curl.easy_setopt(handle, CURLOPT_WRITEFUNCTION, callback);
    return code ? code : martlet_curl.easy_setopt(handle, CURLOPT_WRITEDATA, context);
}

static inline CURLcode martlet_curl_set_header_reader(CURL *handle, curl_write_callback callback, void *context) {
    CURLcode code = martlet_curl.easy_setopt(handle, CURLOPT_HEADERFUNCTION, callback);
    return code ? code : martlet_curl.easy_setopt(handle, CURLOPT_HEADERDATA, context);
}

static inline CURLcode martlet_curl_set_reader(CURL *handle, curl_read_callback read, curl_seek_callback seek,
                                               void *context) {
    CURLcode code = martlet_curl.easy_setopt(handle, CURLOPT_READFUNCTION, read);
    if (!code) code = martlet_curl.easy_setopt(handle, CURLOPT_READDATA, context);
    if (!code) code = martlet_curl.easy_setopt(handle, CURLOPT_SEEKFUNCTION, seek);
    return code ? code : martlet_curl.easy_setopt(handle, CURLOPT_SEEKDATA, context);
}

// A connection of CURLOPT_CONNECT_ONLY offers HTTP/2 and nothing else when it speaks TLS, unseen by libcurl, which would
// speak it itself. Fails unless libcurl uses OpenSSL.
CURLcode martlet_curl_offer_http2(CURL *handle);

// Of a handle of CURLOPT_CONNECT_ONLY that has connected, and is still in its multi handle.
static inline CURLcode martlet_curl_easy_send(CURL *handle, const void *bytes, size_t count, size_t *taken) {
    return martlet_curl.easy_send(handle, bytes, count, taken);
}

static inline CURLcode martlet_curl_easy_recv(CURL *handle, void *bytes, size_t room, size_t *count) {
    return martlet_curl.easy_recv(handle, bytes, room, count);
}

// -1 without a connection.
static inline int martlet_curl_active_socket(CURL *handle) {
    curl_socket_t found = CURL_SOCKET_BAD;
    return martlet_curl.easy_getinfo(handle, CURLINFO_ACTIVESOCKET, &found) ? -1 : found;
}

// Of the peer that a handle has connected to, numeric; valid as long as the handle. NULL when libcurl does not know.
static inline const char *martlet_curl_peer_address(CURL *handle) {
    const char *found = NULL;
    return martlet_curl.easy_getinfo(handle, CURLINFO_PRIMARY_IP, &found) ? NULL : found;
}

// 0 when libcurl does not know.
static inline long martlet_curl_getinfo_long(CURL *handle, CURLINFO info) {
    long value = 0;
    return martlet_curl.easy_getinfo(handle, info, &value) ? 0 : value;
}

static inline curl_off_t martlet_curl_getinfo_off(CURL *handle, CURLINFO info) {
    curl_off_t value = 0;
    return martlet_curl.easy_getinfo(handle, info, &value) ? 0 : value;
}

// What CURLOPT_PRIVATE was set to.
static inline void *martlet_curl_private(CURL *handle) {
    void *value = NULL;
    return martlet_curl.easy_getinfo(handle, CURLINFO_PRIVATE, &value) ? NULL : value;
}
