/*
** http_response.c - from an ended transfer to a response, a Lua table
**
** Headers are handed over as they came: lua/conc/http/headers.lua takes them
** apart when somebody asks.
*/

#define _GNU_SOURCE

#include "http_bind.h"

#include <errno.h>
#include <string.h>

/* "HTTP/1.1 404 Not Found": what comes after the status */
static void push_reason (lua_State *L, const struct transfer *t) {
  const char *line = t->head.data, *end = line + t->head.len;
  const char *eol = t->head.len > 0 ? memchr(line, '\n', t->head.len) : NULL;
  int spaces = 0;
  if (eol == NULL)
    eol = end;
  while (eol > line && (eol[-1] == '\r' || eol[-1] == ' '))
    eol--;
  while (line < eol && spaces < 2)
    spaces += *line++ == ' ';
  lua_pushlstring(L, line, (size_t)(eol - line));
}

static const char *failure_name (const struct transfer *t, long oserr) {
  switch (t->why) {
    case WHY_CUT: return NULL;
    case WHY_TOO_LARGE: return "too_large";
    case WHY_HEADERS: return "headers";
    case WHY_RANGE: return "range";
    case WHY_WRITE: return "write";
    case WHY_CLOSED: return "closed";
    case WHY_ONCE: return "once";
    case WHY_MEMORY: return "memory";
    case WHY_CURL: break;
  }
  switch (t->code) {
    case CURLE_OK: return NULL;
    case CURLE_COULDNT_CONNECT: return "connect";
    case CURLE_OPERATION_TIMEDOUT: return "timeout";
    case CURLE_SEND_ERROR: case CURLE_RECV_ERROR: case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE: case CURLE_HTTP2: case CURLE_HTTP2_STREAM: return "reset";
    case CURLE_SSL_CONNECT_ERROR: return oserr == ECONNRESET ? "reset" : "tls";
    case CURLE_COULDNT_RESOLVE_HOST: return "resolve";
    default: return "failed";
  }
}

/* The errno that libcurl keeps may be an old one: is it what 'code' is about? */
static int from_system (CURLcode code) {
  return code == CURLE_COULDNT_CONNECT || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR
      || code == CURLE_SSL_CONNECT_ERROR;
}

static void push_message (lua_State *L, const struct transfer *t, long oserr) {
  switch (t->why) {
    case WHY_TOO_LARGE: lua_pushliteral(L, "more than max_bytes"); return;
    case WHY_HEADERS: lua_pushliteral(L, "the headers are too large"); return;
    case WHY_RANGE: lua_pushliteral(L, "the server sent another range than asked for"); return;
    case WHY_WRITE: lua_pushstring(L, strerror(t->oserr)); return;
    case WHY_CLOSED: lua_pushliteral(L, "the session was closed, or forked away from"); return;
    case WHY_ONCE: lua_pushliteral(L, "the connection broke after the request was sent"); return;
    case WHY_MEMORY: lua_pushliteral(L, "not enough memory"); return;
    case WHY_CURL: case WHY_CUT: break;
  }
  lua_pushstring(L, t->errbuf[0] != '\0' ? t->errbuf : curl_easy_strerror(t->code));
  if (from_system(t->code) && oserr != 0
      && strstr(t->errbuf, strerror((int)oserr)) == NULL) {
    lua_pushfstring(L, " (%s)", strerror((int)oserr));
    lua_concat(L, 2);
  }
}

/* Large strings in large pages: where the system has them for who asks, most of
   the time that a body of megabytes takes is saved, as it is page faults. Lua
   allocates and fills a string in one call, so for that one allocation the
   state has this allocator, which takes itself out before anything else. */
struct advisor {
  lua_State *L;
  lua_Alloc f;
  void *ud;
};

static void *alloc_advised (void *ud, void *old, size_t oldsize, size_t size) {
  struct advisor *a = ud;
  lua_setallocf(a->L, a->f, a->ud);
  void *block = a->f(a->ud, old, oldsize, size);
  if (block != NULL)
    buffer_advise(block, size);
  return block;
}

static void push_body (lua_State *L, const struct buffer *b) {
  struct advisor a = {L, NULL, NULL};
  void *ud;
  if (b->len >= BUFFER_LARGE) {
    a.f = lua_getallocf(L, &a.ud);
    lua_setallocf(L, alloc_advised, &a);
  }
  lua_pushlstring(L, b->data != NULL ? b->data : "", b->len);
  if (lua_getallocf(L, &ud) == alloc_advised)  /* a Lua that did not allocate */
    lua_setallocf(L, a.f, a.ud);
}

static void set_info_string (lua_State *L, CURL *easy, CURLINFO info, const char *name) {
  char *s = NULL;
  if (curl_easy_getinfo(easy, info, &s) == CURLE_OK && s != NULL) {
    lua_pushstring(L, s);
    lua_setfield(L, -2, name);
  }
}

/* {status=, reason=, url=, headers=, body=, and for the policy above:
   redirect=, retry_after=} */
static void push_response (lua_State *L, const struct transfer *t, long status) {
  curl_off_t after = 0;
  lua_createtable(L, 0, 9);
  lua_pushinteger(L, status);
  lua_setfield(L, -2, "status");
  push_reason(L, t);
  lua_setfield(L, -2, "reason");
  lua_createtable(L, 1, 0);  /* lua/conc/http/headers.lua reads it when asked */
  lua_pushlstring(L, t->head.data != NULL ? t->head.data : "", t->head.len);
  lua_rawseti(L, -2, 1);
  lua_setfield(L, -2, "headers");
  set_info_string(L, t->easy, CURLINFO_EFFECTIVE_URL, "url");
  if (t->part == NULL || t->aside) {
    push_body(L, &t->body);
    lua_setfield(L, -2, "body");
  }
  if (status >= 300 && status <= 399)
    set_info_string(L, t->easy, CURLINFO_REDIRECT_URL, "redirect");
  if (status < 400)
    return;
  curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &after);
  if (after > 0) {
    lua_pushinteger(L, (lua_Integer)after);
    lua_setfield(L, -2, "retry_after");
  }
}

int response_push (lua_State *L, const struct transfer *t) {
  long status = 0, oserr = 0;
  if (t->easy != NULL) {
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &oserr);
  }
  const char *failure = failure_name(t, oserr);
  if (status != 0)
    push_response(L, t, status);
  else
    lua_pushnil(L);
  if (failure == NULL)
    return 1;
  lua_pushstring(L, failure);
  push_message(L, t, oserr);
  return 3;
}
