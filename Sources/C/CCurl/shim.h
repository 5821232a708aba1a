// libcurl's setopt and getinfo are variadic, which Swift cannot call: one typed function for each argument kind.
#pragma once
#include <curl/curl.h>

static inline CURLcode martlet_curl_setopt_long(CURL *handle, CURLoption option, long value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode martlet_curl_setopt_pointer(CURL *handle, CURLoption option, const void *value) {
    return curl_easy_setopt(handle, option, value);
}
