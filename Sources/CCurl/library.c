// Opens libcurl once and looks up what the exchanges call.

#include "library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

const char martlet_curl_missing[] = "libcurl.so.4 cannot be loaded; install the package libcurl4";

static struct curl_library library;
static int is_loaded = 0;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
    void *handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) handle = dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) return;
    const struct {
        const char *name;
        void *place;
    } functions[] = {
        {"curl_global_init", &library.global_init},
        {"curl_easy_init", &library.easy_init},
        {"curl_easy_setopt", &library.easy_setopt},
        {"curl_easy_perform", &library.easy_perform},
        {"curl_easy_getinfo", &library.easy_getinfo},
        {"curl_easy_reset", &library.easy_reset},
        {"curl_easy_cleanup", &library.easy_cleanup},
        {"curl_easy_strerror", &library.easy_strerror},
        {"curl_slist_append", &library.slist_append},
        {"curl_slist_free_all", &library.slist_free_all},
        {"curl_multi_init", &library.multi_init},
        {"curl_multi_add_handle", &library.multi_add_handle},
        {"curl_multi_remove_handle", &library.multi_remove_handle},
        {"curl_multi_perform", &library.multi_perform},
        {"curl_multi_poll", &library.multi_poll},
        {"curl_multi_info_read", &library.multi_info_read},
        {"curl_multi_cleanup", &library.multi_cleanup},
        {"curl_multi_strerror", &library.multi_strerror},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *function = dlsym(handle, functions[i].name);
        if (function == NULL) return;
        memcpy(functions[i].place, &function, sizeof function);
    }
    is_loaded = library.global_init(CURL_GLOBAL_ALL) == CURLE_OK;
}

const struct curl_library *martlet_curl_library(void) {
    pthread_once(&once, load);
    return is_loaded ? &library : NULL;
}
