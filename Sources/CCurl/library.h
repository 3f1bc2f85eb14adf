// The functions of libcurl, which is opened by the first transfer: it brings some 25 shared libraries, which would
// cost every start of the program several milliseconds.

#ifndef MARTLET_CURL_LIBRARY_H
#define MARTLET_CURL_LIBRARY_H

#include <curl/curl.h>

struct curl_library {
    typeof(&curl_global_init) global_init;
    typeof(&curl_easy_init) easy_init;
    typeof(&curl_easy_setopt) easy_setopt;
    typeof(&curl_easy_perform) easy_perform;
    typeof(&curl_easy_getinfo) easy_getinfo;
    typeof(&curl_easy_reset) easy_reset;
    typeof(&curl_easy_cleanup) easy_cleanup;
    typeof(&curl_easy_strerror) easy_strerror;
    typeof(&curl_slist_append) slist_append;
    typeof(&curl_slist_free_all) slist_free_all;
    typeof(&curl_multi_init) multi_init;
    typeof(&curl_multi_add_handle) multi_add_handle;
    typeof(&curl_multi_remove_handle) multi_remove_handle;
    typeof(&curl_multi_perform) multi_perform;
    typeof(&curl_multi_poll) multi_poll;
    typeof(&curl_multi_info_read) multi_info_read;
    typeof(&curl_multi_cleanup) multi_cleanup;
    typeof(&curl_multi_strerror) multi_strerror;
};

/// NULL where libcurl is missing or too old; safe from any thread.
const struct curl_library *martlet_curl_library(void);

/// What the user is told when there is no library.
extern const char martlet_curl_missing[];

#endif
