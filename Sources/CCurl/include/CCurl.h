// HTTP exchanges through libcurl. `curl_easy_setopt` is variadic, which Swift cannot call, so an exchange
// is a value that goes in and a value that comes out.

#ifndef MARTLET_CCURL_H
#define MARTLET_CCURL_H

// Only fixed-width types: a header of the C library included here would make Swift count its types as ours.
#include <stdint.h>

struct martlet_http_request {
    const char *method;          // "GET", "PUT", ...
    const char *url;
    const char *const *headers;  // "Name: value" each
    int32_t header_count;
    const char *user;            // NULL without basic authentication
    const char *password;
    const uint8_t *body;         // sent when `upload_fd` is negative and `body_length` is not
    int64_t body_length;         // -1 without a body
    int32_t upload_fd;           // -1, or a file that is sent from its start
    int64_t upload_length;
    int32_t output_fd;           // gets the body of the answer
    int32_t header_fd;           // -1, or gets the header lines of the last answer
    int64_t output_limit;        // in bytes; more ends the exchange with `too_large`; 0: no limit
    int64_t timeout_ms;          // for the whole exchange; 0: no limit
    int64_t stall_seconds;       // fewer than 1 byte a second for so long ends it; 0: never
    int32_t follow_redirects;
    int32_t insecure;            // accepts any certificate
    const int32_t *cancelled;    // NULL, or looked at about once a second: not 0 ends the exchange
};

struct martlet_http_reply {
    int64_t status;    // 0 when there was no answer
    int32_t error;     // libcurl's code, 0 when there was an answer to the end
    int32_t too_large;
    int32_t write_error;  // errno of a failed write to `output_fd`
    int32_t read_error;   // errno of a failed read of `upload_fd`
    int64_t received;
    char text[256];    // what libcurl says of `error`
};

/// Performs the exchange on the calling thread and returns when it ended; takes as long as the server does.
void martlet_http_perform(const struct martlet_http_request *request, struct martlet_http_reply *reply);

/// A handle for one exchange after another; connections to servers stay open in between. One thread uses it at a time.
struct martlet_connection;

struct martlet_connection_request {
    const char *method;
    const char *url;
    const char *const *headers;  // "Name: value" each
    int32_t header_count;
    const char *user_agent;
    const uint8_t *body;         // sent when `upload_fd` is negative and `body_length` is not
    int64_t body_length;         // -1 without a body
    int32_t upload_fd;           // -1, or a file of which a part is sent
    int64_t upload_offset;
    int64_t upload_length;
    int64_t connect_timeout_ms;
    int64_t stall_ms;            // nothing sent or received for so long ends it; 0: never
    int64_t buffer_bytes;        // the largest piece of the body that is handed on at once
    int32_t uses_netrc;
    int32_t uses_proxy;          // 0: not even those of the environment
    const char *ca_file;         // NULL for the system's
    const char *ca_directory;
    void *context;
    /// Gets each header line; one that begins with "HTTP/" begins an answer, of which only the last one counts.
    void (*take_header)(void *context, const char *line, int64_t length);
    /// Returns 0 when it could not use the bytes, which ends the exchange.
    int32_t (*take_body)(void *context, const uint8_t *bytes, int64_t length);
    /// Asked at least ten times a second; not 0 ends the exchange.
    int32_t (*should_stop)(void *context);
};

/// How an exchange ended; `error` holds libcurl's code for `MARTLET_END_FAILED`.
enum martlet_end {
    MARTLET_END_COMPLETE = 0,
    MARTLET_END_FAILED = 1,
    MARTLET_END_STOPPED = 2,
    MARTLET_END_REFUSED = 3,  // `take_body` returned 0
    MARTLET_END_STALLED = 4,
};

struct martlet_connection_reply {
    int64_t status;     // 0 when there was no answer
    int32_t end;        // of `enum martlet_end`
    int32_t error;
    int32_t read_error; // errno of a failed read of `upload_fd`
    char text[256];     // what libcurl says of `error`
};

/// NULL without libcurl or memory; `martlet_connection_problem` tells which.
struct martlet_connection *martlet_connection_create(void);
void martlet_connection_destroy(struct martlet_connection *connection);
const char *martlet_connection_problem(void);

/// Performs the exchange on the calling thread and returns when it ended. Redirects are not followed.
void martlet_connection_perform(
    struct martlet_connection *connection, const struct martlet_connection_request *request,
    struct martlet_connection_reply *reply);

#endif
