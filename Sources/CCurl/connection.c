// A connection that is used again: one easy handle in a multi handle of its own, whose loop looks every tenth of a
// second whether it should stop, which libcurl alone does once a second.

#include "include/CCurl.h"
#include "library.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct martlet_connection {
    CURL *easy;
    CURLM *multi;
    const struct martlet_connection_request *request;
    struct martlet_connection_reply *reply;
    int64_t sent;
    int64_t moved;      // bytes in both directions, as libcurl counts them
    int64_t active_at;  // milliseconds of the monotonic clock when bytes went last
    char text[CURL_ERROR_SIZE];
};

static const int poll_ms = 100;

static int64_t now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

const char *martlet_connection_problem(void) {
    return martlet_curl_library() == NULL ? martlet_curl_missing : "out of memory";
}

struct martlet_connection *martlet_connection_create(void) {
    const struct curl_library *library = martlet_curl_library();
    if (library == NULL) return NULL;
    struct martlet_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) return NULL;
    connection->easy = library->easy_init();
    connection->multi = library->multi_init();
    if (connection->easy == NULL || connection->multi == NULL) {
        martlet_connection_destroy(connection);
        return NULL;
    }
    return connection;
}

void martlet_connection_destroy(struct martlet_connection *connection) {
    const struct curl_library *library = martlet_curl_library();
    if (library == NULL || connection == NULL) return;
    if (connection->easy != NULL) library->easy_cleanup(connection->easy);
    if (connection->multi != NULL) library->multi_cleanup(connection->multi);
    free(connection);
}

static size_t take_header(char *bytes, size_t size, size_t count, void *context) {
    struct martlet_connection *connection = context;
    connection->request->take_header(connection->request->context, bytes, (int64_t)(size * count));
    return size * count;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context) {
    struct martlet_connection *connection = context;
    const struct martlet_connection_request *request = connection->request;
    size_t length = size * count;
    int taken = request->take_body(request->context, (const uint8_t *)bytes, (int64_t)length);
    // The time that the receiver took, for a rate limit perhaps, is not the server's.
    connection->active_at = now_ms();
    if (taken) return length;
    connection->reply->end = MARTLET_END_REFUSED;
    return length + 1;
}

static size_t give_file(char *bytes, size_t size, size_t count, void *context) {
    struct martlet_connection *connection = context;
    const struct martlet_connection_request *request = connection->request;
    int64_t left = request->upload_length - connection->sent;
    size_t wanted = size * count;
    if ((int64_t)wanted > left) wanted = left > 0 ? (size_t)left : 0;
    ssize_t length;
    do {
        length = pread(request->upload_fd, bytes, wanted, request->upload_offset + connection->sent);
    } while (length < 0 && errno == EINTR);
    if (length < 0) {
        connection->reply->read_error = errno;
        return CURL_READFUNC_ABORT;
    }
    connection->sent += length;
    return (size_t)length;
}

/// A connection that turns out to be closed already makes libcurl send the file again on a new one.
static int rewind_file(void *context, curl_off_t offset, int origin) {
    struct martlet_connection *connection = context;
    if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
    connection->sent = offset;
    return CURL_SEEKFUNC_OK;
}

/// Called by libcurl while bytes flow, so that a stream without a pause can be stopped, too.
static int look_for_stop(void *context, curl_off_t a, curl_off_t received, curl_off_t b, curl_off_t sent) {
    struct martlet_connection *connection = context;
    if (received + sent != connection->moved) {
        connection->moved = received + sent;
        connection->active_at = now_ms();
    }
    if (!connection->request->should_stop(connection->request->context)) return 0;
    connection->reply->end = MARTLET_END_STOPPED;
    return 1;
}

static void set_body(const struct curl_library *library, struct martlet_connection *connection) {
    const struct martlet_connection_request *request = connection->request;
    CURL *easy = connection->easy;
    if (request->upload_fd >= 0) {
        library->easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        library->easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->upload_length);
        library->easy_setopt(easy, CURLOPT_READFUNCTION, give_file);
        library->easy_setopt(easy, CURLOPT_READDATA, connection);
        library->easy_setopt(easy, CURLOPT_SEEKFUNCTION, rewind_file);
        library->easy_setopt(easy, CURLOPT_SEEKDATA, connection);
    } else if (request->body_length >= 0) {
        library->easy_setopt(easy, CURLOPT_POST, 1L);
        library->easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        library->easy_setopt(easy, CURLOPT_POSTFIELDS, (const char *)request->body);
    }
    if (strcmp(request->method, "HEAD") == 0) {
        library->easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else {
        library->easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    }
}

static void set_network(const struct curl_library *library, struct martlet_connection *connection) {
    const struct martlet_connection_request *request = connection->request;
    CURL *easy = connection->easy;
    // Signals would be taken by whichever thread happens to run.
    library->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    library->easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    // A connection of its own for each range is what makes ranges fast; streams of one connection share its window.
    library->easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    library->easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    library->easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_timeout_ms);
    library->easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)request->buffer_bytes);
    library->easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    // Who stops must not wait for a name server that does not answer.
    library->easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    if (request->uses_netrc) library->easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
    if (!request->uses_proxy) library->easy_setopt(easy, CURLOPT_NOPROXY, "*");
    if (request->ca_file != NULL) library->easy_setopt(easy, CURLOPT_CAINFO, request->ca_file);
    if (request->ca_directory != NULL) library->easy_setopt(easy, CURLOPT_CAPATH, request->ca_directory);
}

static void set_up(
    const struct curl_library *library, struct martlet_connection *connection, struct curl_slist *headers) {
    const struct martlet_connection_request *request = connection->request;
    CURL *easy = connection->easy;
    // Forgets the exchange before; open connections stay, as the multi handle keeps them.
    library->easy_reset(easy);
    connection->text[0] = 0;
    library->easy_setopt(easy, CURLOPT_ERRORBUFFER, connection->text);
    library->easy_setopt(easy, CURLOPT_URL, request->url);
    library->easy_setopt(easy, CURLOPT_USERAGENT, request->user_agent);
    library->easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    library->easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    library->easy_setopt(easy, CURLOPT_HEADERDATA, connection);
    library->easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    library->easy_setopt(easy, CURLOPT_WRITEDATA, connection);
    library->easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    library->easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, look_for_stop);
    library->easy_setopt(easy, CURLOPT_XFERINFODATA, connection);
    set_body(library, connection);
    set_network(library, connection);
}

static void fail(
    const struct curl_library *library, struct martlet_connection *connection, CURLcode code, const char *text) {
    struct martlet_connection_reply *reply = connection->reply;
    if (reply->end == MARTLET_END_COMPLETE) reply->end = MARTLET_END_FAILED;
    reply->error = (int32_t)code;
    if (text == NULL) text = connection->text[0] != 0 ? connection->text : library->easy_strerror(code);
    snprintf(reply->text, sizeof reply->text, "%s", text);
}

/// Runs the exchange until it ended by itself, stalled or was stopped.
static void run(const struct curl_library *library, struct martlet_connection *connection) {
    const struct martlet_connection_request *request = connection->request;
    struct martlet_connection_reply *reply = connection->reply;
    while (reply->end == MARTLET_END_COMPLETE) {
        int running = 0;
        CURLMcode code = library->multi_perform(connection->multi, &running);
        if (code == CURLM_OK && running) code = library->multi_poll(connection->multi, NULL, 0, poll_ms, NULL);
        if (code != CURLM_OK) {
            fail(library, connection, CURLE_FAILED_INIT, library->multi_strerror(code));
            return;
        }
        if (!running) break;
        if (request->should_stop(request->context)) reply->end = MARTLET_END_STOPPED;
        if (request->stall_ms > 0 && now_ms() - connection->active_at > request->stall_ms) {
            reply->end = MARTLET_END_STALLED;
        }
    }
    CURLMsg *message;
    int left = 0;
    while ((message = library->multi_info_read(connection->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE && message->data.result != CURLE_OK) {
            fail(library, connection, message->data.result, NULL);
        }
    }
}

void martlet_connection_perform(
    struct martlet_connection *connection, const struct martlet_connection_request *request,
    struct martlet_connection_reply *reply) {
    const struct curl_library *library = martlet_curl_library();
    memset(reply, 0, sizeof *reply);
    connection->request = request;
    connection->reply = reply;
    connection->sent = 0;
    connection->moved = 0;
    connection->active_at = now_ms();
    // Without this curl asks with "Expect: 100-continue", which some servers answer only after a second.
    struct curl_slist *headers = library->slist_append(NULL, "Expect:");
    for (int32_t i = 0; i < request->header_count && headers != NULL; i++) {
        struct curl_slist *longer = library->slist_append(headers, request->headers[i]);
        if (longer == NULL) library->slist_free_all(headers);
        headers = longer;
    }
    if (headers == NULL) {
        fail(library, connection, CURLE_OUT_OF_MEMORY, "out of memory");
        return;
    }
    set_up(library, connection, headers);
    if (library->multi_add_handle(connection->multi, connection->easy) == CURLM_OK) {
        run(library, connection);
        long status = 0;
        library->easy_getinfo(connection->easy, CURLINFO_RESPONSE_CODE, &status);
        reply->status = status;
        // An exchange that did not end closes its connection here; the others stay open.
        library->multi_remove_handle(connection->multi, connection->easy);
    } else {
        fail(library, connection, CURLE_FAILED_INIT, "libcurl takes no further exchange");
    }
    library->slist_free_all(headers);
}
