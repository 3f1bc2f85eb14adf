// One HTTP exchange through libcurl. `curl_easy_setopt` is variadic, which Swift cannot call, so an exchange
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

#endif
