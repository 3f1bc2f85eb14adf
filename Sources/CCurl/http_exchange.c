// Sets up a libcurl handle for one exchange, performs it and takes it down again.

#include "include/CCurl.h"
#include "library.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct exchange {
    const struct martlet_http_request *request;
    struct martlet_http_reply *reply;
    int64_t sent;
};

static size_t write_all(int fd, const char *bytes, size_t count, int32_t *error) {
    size_t done = 0;
    while (done < count) {
        ssize_t length = write(fd, bytes + done, count - done);
        if (length < 0 && errno == EINTR) continue;
        if (length <= 0) {
            *error = errno;
            return done;
        }
        done += (size_t)length;
    }
    return done;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context) {
    struct exchange *exchange = context;
    size_t length = size * count;
    int64_t limit = exchange->request->output_limit;
    if (limit > 0 && exchange->reply->received + (int64_t)length > limit) {
        exchange->reply->too_large = 1;
        return 0;
    }
    exchange->reply->received += (int64_t)length;
    if (exchange->request->output_fd < 0) return length;
    return write_all(exchange->request->output_fd, bytes, length, &exchange->reply->write_error);
}

static size_t take_header(char *bytes, size_t size, size_t count, void *context) {
    struct exchange *exchange = context;
    size_t length = size * count;
    int fd = exchange->request->header_fd;
    // Each answer of a chain of redirects begins with a status line; only the last one's headers matter.
    if (length >= 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0) return 0;
    }
    return write_all(fd, bytes, length, &exchange->reply->write_error);
}

static size_t give_file(char *bytes, size_t size, size_t count, void *context) {
    struct exchange *exchange = context;
    ssize_t length;
    do {
        length = pread(exchange->request->upload_fd, bytes, size * count, exchange->sent);
    } while (length < 0 && errno == EINTR);
    if (length < 0) {
        exchange->reply->read_error = errno;
        return CURL_READFUNC_ABORT;
    }
    exchange->sent += length;
    return (size_t)length;
}

/// A redirect or a repeated authentication sends the file again.
static int rewind_file(void *context, curl_off_t offset, int origin) {
    struct exchange *exchange = context;
    if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
    exchange->sent = offset;
    return CURL_SEEKFUNC_OK;
}

static int look_for_cancel(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    const struct exchange *exchange = context;
    return __atomic_load_n(exchange->request->cancelled, __ATOMIC_RELAXED) != 0;
}

static void set_body(const struct curl_library *library, CURL *curl, struct exchange *exchange) {
    const struct martlet_http_request *request = exchange->request;
    if (request->upload_fd >= 0) {
        library->easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        library->easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->upload_length);
        library->easy_setopt(curl, CURLOPT_READFUNCTION, give_file);
        library->easy_setopt(curl, CURLOPT_READDATA, exchange);
        library->easy_setopt(curl, CURLOPT_SEEKFUNCTION, rewind_file);
        library->easy_setopt(curl, CURLOPT_SEEKDATA, exchange);
    } else if (request->body_length >= 0) {
        library->easy_setopt(curl, CURLOPT_POST, 1L);
        library->easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        library->easy_setopt(curl, CURLOPT_POSTFIELDS, (const char *)request->body);
    }
    if (strcmp(request->method, "HEAD") == 0) {
        library->easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else {
        library->easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    }
}

static void set_limits(const struct curl_library *library, CURL *curl, struct exchange *exchange) {
    const struct martlet_http_request *request = exchange->request;
    // Signals would be taken by whichever thread happens to run.
    library->easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    library->easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    library->easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    library->easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 30000L);
    if (request->timeout_ms > 0) library->easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    if (request->stall_seconds > 0) {
        library->easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        library->easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)request->stall_seconds);
    }
    if (request->follow_redirects) {
        library->easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
        library->easy_setopt(curl, CURLOPT_MAXREDIRS, 10L);
    }
    if (request->insecure) {
        library->easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
        library->easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (request->cancelled != NULL) {
        library->easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        library->easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_for_cancel);
        library->easy_setopt(curl, CURLOPT_XFERINFODATA, exchange);
    }
}

void martlet_http_perform(const struct martlet_http_request *request, struct martlet_http_reply *reply) {
    const struct curl_library *library = martlet_curl_library();
    memset(reply, 0, sizeof *reply);
    if (library == NULL) {
        reply->error = CURLE_FAILED_INIT;
        snprintf(reply->text, sizeof reply->text, "%s", martlet_curl_missing);
        return;
    }
    struct exchange exchange = {.request = request, .reply = reply};
    CURL *curl = library->easy_init();
    struct curl_slist *headers = NULL;
    // Without this curl asks with "Expect: 100-continue", which some servers answer only after a second.
    headers = library->slist_append(headers, "Expect:");
    for (int32_t i = 0; i < request->header_count && headers != NULL; i++) {
        headers = library->slist_append(headers, request->headers[i]);
    }
    if (curl == NULL || headers == NULL) {
        reply->error = CURLE_OUT_OF_MEMORY;
        snprintf(reply->text, sizeof reply->text, "out of memory");
        library->slist_free_all(headers);
        if (curl != NULL) library->easy_cleanup(curl);
        return;
    }
    char text[CURL_ERROR_SIZE] = "";
    library->easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
    library->easy_setopt(curl, CURLOPT_URL, request->url);
    library->easy_setopt(curl, CURLOPT_USERAGENT, "martlet");
    library->easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (request->user != NULL) {
        library->easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        library->easy_setopt(curl, CURLOPT_USERNAME, request->user);
        library->easy_setopt(curl, CURLOPT_PASSWORD, request->password != NULL ? request->password : "");
    }
    library->easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    library->easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
    if (request->header_fd >= 0) {
        library->easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
        library->easy_setopt(curl, CURLOPT_HEADERDATA, &exchange);
    }
    set_body(library, curl, &exchange);
    set_limits(library, curl, &exchange);
    CURLcode code = library->easy_perform(curl);
    reply->error = (int32_t)code;
    if (code != CURLE_OK) {
        snprintf(reply->text, sizeof reply->text, "%s", text[0] != 0 ? text : library->easy_strerror(code));
    }
    long status = 0;
    library->easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    reply->status = status;
    library->easy_cleanup(curl);
    library->slist_free_all(headers);
}
