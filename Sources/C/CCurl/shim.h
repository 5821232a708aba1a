// libcurl's setopt and getinfo are variadic, which Swift cannot call: one typed function for each argument kind.
// Those that take an option expect it to be of their kind.
#pragma once
#include <curl/curl.h>

static inline CURLcode martlet_curl_global_init(void) { return curl_global_init(CURL_GLOBAL_DEFAULT); }

static inline CURLcode martlet_curl_setopt_long(CURL *handle, CURLoption option, long value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode martlet_curl_setopt_pointer(CURL *handle, CURLoption option, const void *value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode martlet_curl_setopt_off(CURL *handle, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(handle, option, value);
}

// libcurl copies the bytes.
static inline CURLcode martlet_curl_setopt_blob(CURL *handle, CURLoption option, const void *data, size_t size) {
    struct curl_blob blob = {(void *)data, size, CURL_BLOB_COPY};
    return curl_easy_setopt(handle, option, &blob);
}

static inline CURLcode martlet_curl_set_writer(CURL *handle, curl_write_callback callback, void *context) {
    CURLcode code = curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, callback);
    return code ? code : curl_easy_setopt(handle, CURLOPT_WRITEDATA, context);
}

static inline CURLcode martlet_curl_set_header_reader(CURL *handle, curl_write_callback callback, void *context) {
    CURLcode code = curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, callback);
    return code ? code : curl_easy_setopt(handle, CURLOPT_HEADERDATA, context);
}

static inline CURLcode martlet_curl_set_reader(CURL *handle, curl_read_callback read, curl_seek_callback seek,
                                               void *context) {
    CURLcode code = curl_easy_setopt(handle, CURLOPT_READFUNCTION, read);
    if (!code) code = curl_easy_setopt(handle, CURLOPT_READDATA, context);
    if (!code) code = curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, seek);
    return code ? code : curl_easy_setopt(handle, CURLOPT_SEEKDATA, context);
}

// 0 when libcurl does not know.
static inline long martlet_curl_getinfo_long(CURL *handle, CURLINFO info) {
    long value = 0;
    return curl_easy_getinfo(handle, info, &value) ? 0 : value;
}

static inline curl_off_t martlet_curl_getinfo_off(CURL *handle, CURLINFO info) {
    curl_off_t value = 0;
    return curl_easy_getinfo(handle, info, &value) ? 0 : value;
}

// What CURLOPT_PRIVATE was set to.
static inline void *martlet_curl_private(CURL *handle) {
    void *value = NULL;
    return curl_easy_getinfo(handle, CURLINFO_PRIVATE, &value) ? NULL : value;
}

static inline CURLMcode martlet_curl_multi_setopt_long(CURLM *multi, CURLMoption option, long value) {
    return curl_multi_setopt(multi, option, value);
}
