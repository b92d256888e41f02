/*
** http_request.c - from a request, a Lua table, to the options of a transfer
**
** Fields are read with their metamethods: what many requests have in common is
** in a template behind them (lua/conc/http/options.lua), which has also checked
** them. Anything here may raise; the transfer belongs to its group by then.
*/

#define _GNU_SOURCE

#include "http_bind.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

/* NULL if nil or false. The field stays on the stack until its caller ends. */
static const char *field_string (lua_State *L, const char *name, size_t *len) {
  size_t n;
  if (lua_getfield(L, REQUEST, name) == LUA_TNIL || !lua_toboolean(L, -1))
    return NULL;
  const char *s = lua_tolstring(L, -1, &n);
  if (s == NULL)
    luaL_error(L, "request field '%s': string expected, got %s", name, luaL_typename(L, -1));
  if (len != NULL)
    *len = n;
  else if (strlen(s) != n)
    luaL_error(L, "request field '%s' contains a zero byte", name);
  return s;
}

static int field_bool (lua_State *L, const char *name) {
  lua_getfield(L, REQUEST, name);
  int b = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return b;
}

static int64_t field_integer (lua_State *L, const char *name, int64_t absent) {
  int64_t n = absent;
  if (lua_getfield(L, REQUEST, name) != LUA_TNIL)
    n = (int64_t)luaL_checkinteger(L, -1);
  lua_pop(L, 1);
  return n;
}

/* Seconds as whole milliseconds, at least 1; 'absent' if there are none */
static long field_ms (lua_State *L, const char *name, long absent) {
  long ms = absent;
  if (lua_getfield(L, REQUEST, name) != LUA_TNIL) {
    double s = luaL_checknumber(L, -1);
    ms = s * 1000 >= 2e9 ? 2000000000L : s * 1000 < 1 ? 1L : (long)ceil(s * 1000);
  }
  lua_pop(L, 1);
  return ms;
}

static void set_string (lua_State *L, CURL *easy, CURLoption option, const char *name) {
  const char *s = field_string(L, name, NULL);
  if (s != NULL && curl_easy_setopt(easy, option, s) != CURLE_OK)
    luaL_error(L, "request field '%s' is refused by libcurl", name);
}

static void set_headers (lua_State *L, struct transfer *t) {
  int top = lua_gettop(L);
  if (lua_getfield(L, REQUEST, "headers") == LUA_TTABLE) {
    lua_Integer n = luaL_len(L, -1);
    for (lua_Integer i = 1; i <= n; i++) {
      lua_geti(L, -1, i);
      struct curl_slist *more = curl_slist_append(t->headers, luaL_checkstring(L, -1));
      if (more == NULL)
        luaL_error(L, "not enough memory");
      t->headers = more;
      lua_pop(L, 1);
    }
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
  }
  lua_settop(L, top);
}

/* One {name=, data= | path=, filename=, type=}, at the top of the stack */
static void add_mime_part (lua_State *L, struct transfer *t) {
  size_t len;
  int entry = lua_gettop(L);
  curl_mimepart *part = curl_mime_addpart(t->mime);
  CURLcode rc = CURLE_OK;
  lua_getfield(L, entry, "name");
  lua_getfield(L, entry, "data");
  lua_getfield(L, entry, "path");
  lua_getfield(L, entry, "filename");
  lua_getfield(L, entry, "type");
  if (part == NULL)
    luaL_error(L, "not enough memory");
  curl_mime_name(part, luaL_checkstring(L, entry + 1));
  if (!lua_isnil(L, entry + 3))
    rc = curl_mime_filedata(part, luaL_checkstring(L, entry + 3));
  else {
    const char *data = luaL_checklstring(L, entry + 2, &len);
    rc = curl_mime_data(part, data, len);
  }
  if (rc != CURLE_OK)
    luaL_error(L, "files: cannot read %s", luaL_tolstring(L, entry + 3, NULL));
  if (!lua_isnil(L, entry + 4))
    curl_mime_filename(part, luaL_checkstring(L, entry + 4));
  if (!lua_isnil(L, entry + 5))
    curl_mime_type(part, luaL_checkstring(L, entry + 5));
  lua_settop(L, entry);
}

static int set_files (lua_State *L, struct transfer *t) {
  int top = lua_gettop(L);
  if (lua_getfield(L, REQUEST, "mime") != LUA_TTABLE) {
    lua_settop(L, top);
    return 0;
  }
  t->mime = curl_mime_init(t->easy);
  if (t->mime == NULL)
    luaL_error(L, "not enough memory");
  lua_Integer n = luaL_len(L, top + 1);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_geti(L, top + 1, i);
    add_mime_part(L, t);
    lua_settop(L, top + 1);
  }
  curl_easy_setopt(t->easy, CURLOPT_MIMEPOST, t->mime);
  lua_settop(L, top);
  return 1;
}

/* The body stays on the stack: curl reads it where it lies. */
static void set_method (lua_State *L, struct transfer *t) {
  size_t len = 0;
  const char *method = field_string(L, "method", NULL);
  const char *body = field_string(L, "body", &len);
  int post = method != NULL && strcmp(method, "POST") == 0;
  if (method == NULL)
    method = "GET";
  if (set_files(L, t))
    body = NULL;
  else if (body != NULL || post || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0) {
    curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, body != NULL ? body : "");
  }
  else if (strcmp(method, "HEAD") == 0) {
    curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
    return;
  }
  else if (strcmp(method, "GET") == 0)
    return;
  if (!post)
    curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, method);
}

static void set_bounds (lua_State *L, CURL *easy) {
  long stall = field_ms(L, "stall_timeout", 0);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, field_ms(L, "connect_timeout", 2000000000L));
  if (stall > 0) {
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (stall + 999) / 1000);
  }
}

static void set_trust (lua_State *L, CURL *easy) {
  const char *ca = field_string(L, "ca", NULL);
  struct stat st;
  if (!field_bool(L, "verify")) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (ca != NULL) {  /* in place of the system's, which need not be there */
    int folder = stat(ca, &st) == 0 && S_ISDIR(st.st_mode);
    curl_easy_setopt(easy, CURLOPT_CAPATH, folder ? ca : NULL);
    curl_easy_setopt(easy, CURLOPT_CAINFO, folder ? NULL : ca);
  }
}

static void set_identity (lua_State *L, CURL *easy) {
  curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
  set_string(L, easy, CURLOPT_USERNAME, "user");
  set_string(L, easy, CURLOPT_PASSWORD, "password");
  set_string(L, easy, CURLOPT_USERAGENT, "user_agent");
  set_string(L, easy, CURLOPT_PROXY, "proxy");
}

void request_profile (lua_State *L, struct transfer *t) {
  CURL *easy = t->easy;
  set_headers(L, t);
  set_bounds(L, easy);
  set_trust(L, easy);
  set_identity(L, easy);
  if (field_bool(L, "compressed"))
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  if (field_bool(L, "multiplex"))
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
  set_method(L, t);
}

void request_own (lua_State *L, struct transfer *t) {
  set_string(L, t->easy, CURLOPT_URL, "url");
  curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, field_ms(L, "remaining", 0));
  t->limit = field_integer(L, "max_bytes", INT64_MAX);
  t->follow = field_bool(L, "follow");
  t->once = field_bool(L, "once");
  if (lua_getfield(L, REQUEST, "part") != LUA_TNIL) {
    t->part = luaL_checkudata(L, -1, HTTP_PART);
    t->resume = field_integer(L, "resume", 0);
  }
}

/* A request that says nothing of its own but what request_own sets has the number
   of its template (options.lua): the next one like it is set up already. */
int64_t request_number (lua_State *L) {
  lua_getfield(L, REQUEST, "profile");
  int64_t profile = (int64_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return profile;
}
