/* A small HTTP server that says who it is and which request it saw, as emilevauge/whoami does.
 *
 *   whoami [PORT]                  or $WHOAMI_PORT, default 80; listens on every address
 *   WHOAMI_ADDRESS=127.0.0.1       listen on this IPv4 address only
 *   WHOAMI_NAME=blue               adds a line "Name: blue"
 *   WHOAMI_DRAIN=5                 on SIGTERM: stop accepting, finish what is open for up to 5 seconds (default: leave at once)
 *
 * Any path answers with the host name, the addresses and the request. Some paths do more, for tests:
 *
 *   /health            "OK"; POST a status there, and it answers with that from then on
 *   /status?code=503   that status
 *   /slow?ms=200       answers after a while      /echo              the request's body back
 *   /chunked?n=3&ms=0  n chunks, ms apart         /bytes?n=1000      n bytes
 *   "Upgrade: echo"    101, then every byte back
 *
 * One thread for each connection; static, so that an image needs nothing else.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_LIMIT 65536
#define BODY_LIMIT (64 << 20)

struct text {
    char *bytes;
    size_t length, room;
};

struct connection {
    int fd;
    char buffer[HEAD_LIMIT];
    size_t start, end; /* what was read and not used yet */
};

struct request {
    char *head; /* as received, up to and with the empty line */
    size_t head_length;
    char method[32], target[8192];
    int minor;
    long long content_length; /* -1: chunked */
    int keep_alive, expects, upgrades;
};

static atomic_int open_requests;
static atomic_int health = 200;
static volatile sig_atomic_t stopping;
static int stop_pipe[2];

/* --- text that grows ------------------------------------------------------------------------------------------------ */

static void append(struct text *text, const char *bytes, size_t length)
{
    if (text->length + length > text->room) {
        text->room = (text->length + length) * 2;
        text->bytes = realloc(text->bytes, text->room);
        if (text->bytes == NULL)
            abort();
    }
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
}

static void append_line(struct text *text, const char *name, const char *value)
{
    append(text, name, strlen(name));
    append(text, ": ", 2);
    append(text, value, strlen(value));
    append(text, "\n", 1);
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

/* Waits for bytes; 0 when the peer left, or when this server stops and no request has begun. */
static int receive(struct connection *c, int idle)
{
    struct pollfd waiting = {.fd = c->fd, .events = POLLIN};
    if (c->start == c->end)
        c->start = c->end = 0;
    if (c->end == sizeof c->buffer) {
        if (c->start == 0)
            return 0;
        memmove(c->buffer, c->buffer + c->start, c->end - c->start);
        c->end -= c->start;
        c->start = 0;
    }
    while (idle && poll(&waiting, 1, 50) <= 0)
        if (stopping)
            return 0;
    for (;;) {
        ssize_t count = read(c->fd, c->buffer + c->end, sizeof c->buffer - c->end);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return 0;
        c->end += (size_t)count;
        return 1;
    }
}

static int send_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t count = send(fd, bytes, length, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return 0;
        bytes += count;
        length -= (size_t)count;
    }
    return 1;
}

/* Reads a head into r->head (to be freed); 0 when there is none. */
static int read_head(struct connection *c, struct request *r)
{
    for (;;) {
        char *from = c->buffer + c->start;
        char *end = memmem(from, c->end - c->start, "\r\n\r\n", 4);
        if (end != NULL) {
            r->head_length = (size_t)(end + 4 - from);
            r->head = malloc(r->head_length + 1);
            if (r->head == NULL)
                abort();
            memcpy(r->head, from, r->head_length);
            r->head[r->head_length] = '\0';
            c->start += r->head_length;
            return 1;
        }
        if (!receive(c, c->start == c->end))
            return 0;
    }
}

/* The value of a field of the head, in `value`; 0 when it isn't there. */
static int field(const struct request *r, const char *name, char *value, size_t room)
{
    size_t length = strlen(name);
    for (const char *line = strstr(r->head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, length) != 0 || line[length] != ':')
            continue;
        const char *from = line + length + 1;
        from += strspn(from, " \t");
        size_t size = strcspn(from, "\r");
        if (size >= room)
            size = room - 1;
        memcpy(value, from, size);
        value[size] = '\0';
        return 1;
    }
    return 0;
}

static int understand(struct request *r)
{
    char value[1024];
    if (sscanf(r->head, "%31s %8191s HTTP/1.%d", r->method, r->target, &r->minor) != 3)
        return 0;
    r->content_length = field(r, "content-length", value, sizeof value) ? atoll(value) : 0;
    if (field(r, "transfer-encoding", value, sizeof value))
        r->content_length = -1;
    r->keep_alive = r->minor == 1;
    if (field(r, "connection", value, sizeof value)) {
        if (strcasestr(value, "close"))
            r->keep_alive = 0;
        else if (strcasestr(value, "keep-alive"))
            r->keep_alive = 1;
    }
    r->expects = field(r, "expect", value, sizeof value) && strcasestr(value, "100-continue") != NULL;
    r->upgrades = field(r, "upgrade", value, sizeof value) && strcasecmp(value, "echo") == 0;
    return 1;
}

static int take(struct connection *c, struct text *body, long long count)
{
    while (count > 0) {
        if (c->start == c->end && !receive(c, 0))
            return 0;
        size_t size = c->end - c->start;
        if ((long long)size > count)
            size = (size_t)count;
        if (body->length + size > BODY_LIMIT)
            return 0;
        append(body, c->buffer + c->start, size);
        c->start += size;
        count -= (long long)size;
    }
    return 1;
}

/* One line with its line end, as a string; 0 when the peer left. */
static int take_line(struct connection *c, char *line, size_t room)
{
    for (;;) {
        char *from = c->buffer + c->start;
        char *end = memmem(from, c->end - c->start, "\r\n", 2);
        if (end != NULL) {
            size_t size = (size_t)(end - from);
            if (size >= room)
                return 0;
            memcpy(line, from, size);
            line[size] = '\0';
            c->start += size + 2;
            return 1;
        }
        if (!receive(c, 0))
            return 0;
    }
}

static int take_chunks(struct connection *c, struct text *body)
{
    char line[4096];
    struct text ignored = {0};
    for (;;) {
        if (!take_line(c, line, sizeof line))
            return 0;
        long long size = strtoll(line, NULL, 16);
        if (size == 0)
            break;
        if (!take(c, body, size) || !take(c, &ignored, 2))
            return 0;
    }
    free(ignored.bytes);
    do {
        if (!take_line(c, line, sizeof line))
            return 0;
    } while (line[0] != '\0');
    return 1;
}

static int read_body(struct connection *c, const struct request *r, struct text *body)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (r->expects && r->content_length != 0 && !send_all(c->fd, go_on, sizeof go_on - 1))
        return 0;
    if (r->content_length < 0)
        return take_chunks(c, body);
    return take(c, body, r->content_length);
}

/* --- answering ------------------------------------------------------------------------------------------------------ */

static long parameter(const struct request *r, const char *name, long otherwise)
{
    const char *query = strchr(r->target, '?');
    size_t length = strlen(name);
    while (query != NULL) {
        query++;
        if (strncmp(query, name, length) == 0 && query[length] == '=')
            return atol(query + length + 1);
        query = strchr(query, '&');
    }
    return otherwise;
}

static void pause_for(long milliseconds)
{
    struct timespec time = {milliseconds / 1000, (milliseconds % 1000) * 1000000};
    while (nanosleep(&time, &time) != 0 && errno == EINTR)
        ;
}

static int is_path(const struct request *r, const char *path)
{
    size_t length = strlen(path);
    return strncmp(r->target, path, length) == 0 && strchr("?", r->target[length]) != NULL;
}

static void describe_host(struct text *out)
{
    char value[256];
    struct ifaddrs *all, *one;
    if (getenv("WHOAMI_NAME"))
        append_line(out, "Name", getenv("WHOAMI_NAME"));
    if (gethostname(value, sizeof value) == 0)
        append_line(out, "Hostname", value);
    if (getifaddrs(&all) != 0)
        return;
    for (one = all; one != NULL; one = one->ifa_next) {
        if (one->ifa_addr == NULL)
            continue;
        const void *address = NULL;
        if (one->ifa_addr->sa_family == AF_INET)
            address = &((struct sockaddr_in *)one->ifa_addr)->sin_addr;
        if (one->ifa_addr->sa_family == AF_INET6)
            address = &((struct sockaddr_in6 *)one->ifa_addr)->sin6_addr;
        if (address != NULL && inet_ntop(one->ifa_addr->sa_family, address, value, sizeof value))
            append_line(out, "IP", value);
    }
    freeifaddrs(all);
}

/* Host name, addresses, then the request exactly as it came. */
static void describe(struct text *out, const struct request *r)
{
    describe_host(out);
    append(out, r->head, r->head_length);
}

static int answer(int fd, const struct request *r, int status, const char *type, const struct text *body)
{
    char head[512];
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: %s\r\n\r\n", status,
                          status < 400 ? "OK" : "Error", type, body->length, r->keep_alive ? "keep-alive" : "close");
    if (status == 204 || status == 304)
        length = snprintf(head, sizeof head, "HTTP/1.1 %d OK\r\n\r\n", status);
    struct text all = {0};
    append(&all, head, (size_t)length);
    if (strcmp(r->method, "HEAD") != 0 && status != 204 && status != 304 && body->length > 0)
        append(&all, body->bytes, body->length);
    int sent = send_all(fd, all.bytes, all.length);
    free(all.bytes);
    return sent;
}

static int answer_chunked(int fd, const struct request *r)
{
    char piece[256];
    long count = parameter(r, "n", 3), rest = parameter(r, "ms", 0);
    int length = snprintf(piece, sizeof piece,
                          "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nConnection: %s\r\n\r\n",
                          r->keep_alive ? "keep-alive" : "close");
    if (!send_all(fd, piece, (size_t)length))
        return 0;
    if (strcmp(r->method, "HEAD") == 0)
        return 1;
    for (long i = 1; i <= count; i++) {
        char line[64];
        int size = snprintf(line, sizeof line, "chunk %ld\n", i);
        length = snprintf(piece, sizeof piece, "%x\r\n%s\r\n", size, line);
        if (!send_all(fd, piece, (size_t)length))
            return 0;
        if (rest > 0)
            pause_for(rest);
    }
    return send_all(fd, "0\r\n\r\n", 5);
}

static void echo_for_ever(struct connection *c)
{
    static const char switched[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    if (!send_all(c->fd, switched, sizeof switched - 1))
        return;
    for (;;) {
        if (c->start == c->end && !receive(c, 0))
            return;
        if (!send_all(c->fd, c->buffer + c->start, c->end - c->start))
            return;
        c->start = c->end;
    }
}

/* Gives the status; what was posted is the status of later questions. */
static int say_health(struct text *out, const struct request *r, struct text *posted)
{
    int status = atomic_load(&health);
    if (strcmp(r->method, "POST") == 0) {
        append(posted, "", 1);
        atomic_store(&health, atoi(posted->bytes));
        status = 200;
    }
    append(out, status < 400 ? "OK\n" : "ill\n", status < 400 ? 3 : 4);
    return status;
}

static int respond(struct connection *c, struct request *r, struct text *body)
{
    static const char plain[] = "text/plain; charset=utf-8";
    struct text out = {0};
    char type[256];
    int kept, status = 200;
    if (is_path(r, "/chunked"))
        return answer_chunked(c->fd, r);
    if (is_path(r, "/echo"))
        return answer(c->fd, r, 200, field(r, "content-type", type, sizeof type) ? type : plain, body);
    if (is_path(r, "/slow"))
        pause_for(parameter(r, "ms", 1000));
    if (is_path(r, "/status"))
        status = (int)parameter(r, "code", 200);
    if (is_path(r, "/health"))
        status = say_health(&out, r, body);
    else if (is_path(r, "/bytes"))
        for (long left = parameter(r, "n", 1000); left > 0; left -= 50)
            append(&out, "0123456789012345678901234567890123456789012345678\n", left < 50 ? (size_t)left : 50);
    else
        describe(&out, r);
    kept = answer(c->fd, r, status, plain, &out);
    free(out.bytes);
    return kept;
}

/* One request; 0 when the connection ends with it. */
static int serve_one(struct connection *c)
{
    struct request r = {0};
    struct text body = {0};
    int goes_on = 0;
    if (!read_head(c, &r))
        return 0;
    atomic_fetch_add(&open_requests, 1);
    if (!understand(&r)) {
        static const char bad[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        send_all(c->fd, bad, sizeof bad - 1);
    } else if (r.upgrades) {
        echo_for_ever(c);
    } else if (read_body(c, &r, &body)) {
        if (stopping)
            r.keep_alive = 0;
        goes_on = respond(c, &r, &body) && r.keep_alive;
    }
    atomic_fetch_sub(&open_requests, 1);
    free(body.bytes);
    free(r.head);
    return goes_on;
}

static void *serve(void *given)
{
    struct connection *c = given;
    int yes = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    while (serve_one(c))
        ;
    /* Say goodbye first: closing with unread bytes would reset the connection under the peer's last answer. */
    shutdown(c->fd, SHUT_WR);
    close(c->fd);
    free(c);
    return NULL;
}

/* --- starting and stopping ------------------------------------------------------------------------------------------ */

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
    if (write(stop_pipe[1], "x", 1) < 0)
        _exit(0);
}

static int listening(const char *address, int port)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    where.sin_addr.s_addr = address ? inet_addr(address) : htonl(INADDR_ANY);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd < 0 || bind(fd, (struct sockaddr *)&where, sizeof where) != 0 || listen(fd, 511) != 0) {
        fprintf(stderr, "whoami: port %d: %s\n", port, strerror(errno));
        exit(1);
    }
    return fd;
}

static void start_thread(int fd, pthread_attr_t *attributes)
{
    pthread_t thread;
    struct connection *c = calloc(1, sizeof *c);
    if (c != NULL) {
        c->fd = fd;
        if (pthread_create(&thread, attributes, serve, c) == 0)
            return;
        free(c);
    }
    close(fd);
}

static void drain(int seconds)
{
    for (int tenths = seconds * 10; tenths > 0; tenths--) {
        pause_for(100);
        if (atomic_load(&open_requests) == 0)
            break;
    }
}

int main(int count, char **arguments)
{
    const char *port = count > 1 ? arguments[1] : getenv("WHOAMI_PORT");
    const char *patience = getenv("WHOAMI_DRAIN");
    struct sigaction action = {.sa_handler = on_signal};
    pthread_attr_t attributes;
    if (pipe(stop_pipe) != 0)
        return 1;
    /* As process 1 of a container there is no default action: without these, `docker stop` would wait ten seconds. */
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    struct pollfd waiting[2] = {{.events = POLLIN}, {.events = POLLIN}};
    waiting[0].fd = listening(getenv("WHOAMI_ADDRESS"), port && *port ? atoi(port) : 80);
    waiting[1].fd = stop_pipe[0];
    while (!stopping) {
        if (poll(waiting, 2, -1) < 0)
            continue;
        int fd = waiting[0].revents ? accept(waiting[0].fd, NULL, NULL) : -1;
        if (fd >= 0)
            start_thread(fd, &attributes);
    }
    close(waiting[0].fd);
    if (patience)
        drain(atoi(patience));
    return 0;
}
