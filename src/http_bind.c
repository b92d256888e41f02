/*
** http_bind.c - transfers and part files for Lua: module conc.http_core
**
** Check, call, push. What a request means (options, redirects, retries,
** limits) is settled in lua/conc/http/; here one request is one transfer.
**
** Ownership. An engine, a group and a part are userdata. A group owns its
** transfers, and pins what curl reads while they run (request, body, part) in
** its user value. Anything that may raise comes while the transfer belongs to
** the group or to its 'loose' field, so an error anywhere leaks nothing.
** Waiting. group:wait polls in slices of SLICE ms and looks for Ctrl-C and
** cancelling between them: in the core, if loaded (core_api.h), else in the
** hook that lua.c sets.
*/

#define _GNU_SOURCE

#include "http.h"

#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <lua.h>
#include <lauxlib.h>

#include "core_api.h"

#define ENGINE	"conc.http.engine"
#define GROUP	"conc.http.group"
#define PART	"conc.http.part"

#define SLICE		50		/* ms; bounds the answer to a cancel */
#define HASH_SLICE	(4 * 1024 * 1024)

struct groupbox {
  struct group g;
  struct engine *e;        /* kept alive by user value 2 */
  struct transfer *loose;  /* being set up, or being turned into a result */
  int open;
};


/* ---- interrupts ---- */

struct hook {
  lua_Hook f;
  int count;
};

static lua_State *main_thread (lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main = lua_tothread(L, -1);
  lua_pop(L, 1);
  return main;
}

static struct hook hook_of (lua_State *L) {
  struct hook h = {lua_gethook(L), lua_gethookcount(L)};
  return h;
}

/* lua.c answers Ctrl-C with a hook after one instruction: if one has come
   up since 'before', it is called as Lua would, and raises from there. */
static void call_new_hook (lua_State *L, struct hook before) {
  struct hook now = hook_of(main_thread(L));
  lua_Debug ar;
  if (now.f == NULL || now.count != 1 || (now.f == before.f && before.count == 1))
    return;
  memset(&ar, 0, sizeof ar);
  ar.event = LUA_HOOKCOUNT;
  ar.currentline = -1;
  now.f(L, &ar);
}

static void look_for_interrupt (lua_State *L, struct hook before) {
  lua_getfield(L, LUA_REGISTRYINDEX, CORE_API_KEY);
  const struct conc_core_api *api = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (api == NULL || api->version != CORE_API_VERSION)
    call_new_hook(L, before);
  else if (api->interrupt_pending(L))
    api->raise_pending(L);
}


/* ---- small helpers ---- */

static double now (void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* true, or nil and what errno says */
static int push_errno (lua_State *L, int err) {
  if (err == 0) {
    lua_pushboolean(L, 1);
    return 1;
  }
  luaL_pushfail(L);
  lua_pushstring(L, err == EBUSY ? "another download is writing it"
                  : err == EINVAL ? "Not a regular file" : strerror(err));
  return 2;
}

/* Of the userdata at the top, whose kind has no other methods */
static void set_finalizer (lua_State *L, lua_CFunction f) {
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, f);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
}

static struct engine *check_engine (lua_State *L, int arg) {
  return luaL_checkudata(L, arg, ENGINE);
}

static struct groupbox *check_group (lua_State *L, int arg) {
  struct groupbox *box = luaL_checkudata(L, arg, GROUP);
  luaL_argcheck(L, box->open, arg, "group is closed");
  return box;
}

static struct part *check_part (lua_State *L, int arg) {
  struct part *p = luaL_checkudata(L, arg, PART);
  luaL_argcheck(L, p->fd >= 0, arg, "part is closed");
  return p;
}


/* ---- from a request (a table at REQUEST) to curl's options ---- */

#define REQUEST	2

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
  if (ca != NULL && stat(ca, &st) == 0 && S_ISDIR(st.st_mode))
    curl_easy_setopt(easy, CURLOPT_CAPATH, ca);
  else if (ca != NULL)
    curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
}

static void set_identity (lua_State *L, CURL *easy) {
  curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
  set_string(L, easy, CURLOPT_USERNAME, "user");
  set_string(L, easy, CURLOPT_PASSWORD, "password");
  set_string(L, easy, CURLOPT_USERAGENT, "user_agent");
  set_string(L, easy, CURLOPT_PROXY, "proxy");
}

/* What requests of one profile have in common. The body stays on the stack. */
static void set_profile (lua_State *L, struct transfer *t) {
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

/* What is each request's own */
static void set_own (lua_State *L, struct transfer *t) {
  set_string(L, t->easy, CURLOPT_URL, "url");
  curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, field_ms(L, "remaining", 0));
  t->limit = field_integer(L, "max_bytes", INT64_MAX);
  t->follow = field_bool(L, "follow");
  t->once = field_bool(L, "once");
  if (lua_getfield(L, REQUEST, "part") != LUA_TNIL) {
    t->part = check_part(L, -1);
    t->resume = field_integer(L, "resume", 0);
  }
}

/* A request that says nothing of its own but what set_own sets has the number
   of its template here (options.lua): the next one like it is set up already. */
static int64_t field_profile (lua_State *L) {
  lua_getfield(L, REQUEST, "profile");
  int64_t profile = (int64_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return profile;
}

/* pins[t] = request, which holds the body and the part */
static void pin (lua_State *L, struct transfer *t) {
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, REQUEST);
  lua_rawsetp(L, -2, t);
  lua_pop(L, 1);
}

/* The request, its pin taken out */
static void push_unpinned (lua_State *L, const struct transfer *t) {
  lua_getiuservalue(L, 1, 1);
  lua_rawgetp(L, -1, t);
  lua_pushnil(L);
  lua_rawsetp(L, -3, t);
  lua_remove(L, -2);
}

static void engine_use (lua_State *L, struct engine *e) {
  if (!engine_ready(e))
    luaL_error(L, e->closed ? "session is closed" : "not enough memory");
}

/* What an error in the middle of a start or a result has left */
static void drop_loose (struct groupbox *box) {
  if (box->loose != NULL)
    transfer_release(box->loose);
  box->loose = NULL;
}

/* group:start(request): begins the transfer; it moves while someone waits */
static int group_start (lua_State *L) {
  struct groupbox *box = check_group(L, 1);
  luaL_checktype(L, REQUEST, LUA_TTABLE);
  lua_settop(L, REQUEST);
  luaL_checkstack(L, 20, NULL);
  engine_use(L, box->e);
  drop_loose(box);
  int64_t profile = field_profile(L);
  struct transfer *t = transfer_new(box->e, &box->g, profile);
  if (t == NULL)
    return luaL_error(L, "not enough memory");
  box->loose = t;
  if (profile == 0 || t->profile != profile)
    set_profile(L, t);
  set_own(L, t);
  t->profile = t->mime == NULL ? profile : 0;
  pin(L, t);
  int rc = transfer_add(t);
  if (rc != 0)
    return luaL_error(L, "libcurl: %s", curl_multi_strerror((CURLMcode)rc));
  box->loose = NULL;
  return 0;
}


/* ---- from a transfer to a response ---- */

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
    lua_pushlstring(L, t->body.data != NULL ? t->body.data : "", t->body.len);
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

/* request, response | request, response or nil, failure, message */
static int push_result (lua_State *L, struct groupbox *box) {
  struct transfer *t = box->loose;
  long status = 0, oserr = 0;
  push_unpinned(L, t);
  if (t->easy != NULL) {
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &oserr);
  }
  const char *failure = failure_name(t, oserr);
  if (status != 0)
    push_response(L, t, status);
  else
    lua_pushnil(L);
  if (failure != NULL) {
    lua_pushstring(L, failure);
    push_message(L, t, oserr);
  }
  box->loose = NULL;
  transfer_release(t);
  return failure != NULL ? 4 : 2;
}

/* How long the next look may take, in ms; 0: the time is up */
static int slice_until (double deadline) {
  double left = (deadline - now()) * 1000;
  return left <= 0 ? 0 : left < SLICE ? (int)ceil(left) : SLICE;
}

/* group:wait(seconds) -> request, response [, failure, message] of one that
   ended; nothing when the time is up. Without transfers it is a pause. */
static int group_wait (lua_State *L) {
  struct groupbox *box = check_group(L, 1);
  double deadline = now() + luaL_optnumber(L, 2, HUGE_VAL);
  struct hook before = hook_of(main_thread(L));
  lua_settop(L, 1);
  if (engine_foreign(box->e))
    engine_use(L, box->e);
  while (box->g.done == NULL) {
    int ms = slice_until(deadline);
    if (box->e->multi == NULL)
      engine_use(L, box->e);
    int rc = engine_step(box->e, &box->g, ms);
    if (rc != CURLM_OK)
      return luaL_error(L, "libcurl: %s", curl_multi_strerror((CURLMcode)rc));
    look_for_interrupt(L, before);
    check_group(L, 1);
    if (ms == 0 && box->g.done == NULL)
      return 0;
  }
  drop_loose(box);
  box->loose = group_take(&box->g);
  return push_result(L, box);
}

/* group:received() -> body bytes so far */
static int group_received (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_group(L, 1)->g.received);
  return 1;
}

/* group:expected() -> body bytes that the running transfers still announce;
   those of unknown length count nothing */
static int group_expected (lua_State *L) {
  struct groupbox *box = check_group(L, 1);
  lua_Integer sum = 0;
  for (struct transfer *t = box->e->running; t != NULL; t = t->next) {
    curl_off_t length = -1;
    if (t->group == &box->g && t->easy != NULL)
      curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (length > t->received)
      sum += (lua_Integer)(length - t->received);
  }
  lua_pushinteger(L, sum);
  return 1;
}

static int group_gc (lua_State *L) {
  struct groupbox *box = luaL_checkudata(L, 1, GROUP);
  if (box->open) {
    box->open = 0;
    drop_loose(box);
    group_close(&box->g, box->e);
  }
  return 0;
}


/* ---- engines ---- */

/* http_core.engine(cookies) -> an engine of its own */
static int engine_new (lua_State *L) {
  int cookies = lua_toboolean(L, 1);
  struct engine *e = lua_newuserdatauv(L, sizeof *e, 0);
  memset(e, 0, sizeof *e);
  e->cookies = cookies;
  luaL_setmetatable(L, ENGINE);
  return 1;
}

/* http_core.default() -> the engine that this state's plain calls share */
static int engine_default (lua_State *L) {
  static const char key = 'k';
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TNIL) {
    lua_settop(L, 0);
    engine_new(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
  }
  return 1;
}

/* engine:group(connections) -> a group, with room for that many kept */
static int engine_group (lua_State *L) {
  struct engine *e = check_engine(L, 1);
  long connections = (long)luaL_optinteger(L, 2, 16);
  engine_use(L, e);
  struct groupbox *box = lua_newuserdatauv(L, sizeof *box, 2);
  memset(box, 0, sizeof *box);
  group_init(&box->g);
  box->e = e;
  box->open = 1;
  luaL_setmetatable(L, GROUP);
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 2);
  engine_limits(e, connections < 32 ? 32 : connections);
  return 1;
}

static CURL *cookie_handle (lua_State *L, struct engine *e) {
  engine_use(L, e);
  CURL *easy = curl_easy_init();
  if (easy == NULL)
    luaL_error(L, "not enough memory");
  curl_easy_setopt(easy, CURLOPT_SHARE, e->share);
  return easy;
}

static int slist_gc (lua_State *L) {
  struct curl_slist **box = lua_touserdata(L, 1);
  curl_slist_free_all(*box);
  *box = NULL;
  return 0;
}

/* engine:cookies() -> list of lines in Netscape's format */
static int engine_cookies (lua_State *L) {
  struct engine *e = check_engine(L, 1);
  struct curl_slist **list = lua_newuserdatauv(L, sizeof *list, 0);
  *list = NULL;
  set_finalizer(L, slist_gc);
  CURL *easy = cookie_handle(L, e);
  curl_easy_getinfo(easy, CURLINFO_COOKIELIST, list);
  curl_easy_cleanup(easy);
  lua_newtable(L);
  lua_Integer n = 0;
  for (struct curl_slist *at = *list; at != NULL; at = at->next) {
    lua_pushstring(L, at->data);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

/* engine:set_cookie(line): the same format, or "ALL" to forget all */
static int engine_set_cookie (lua_State *L) {
  struct engine *e = check_engine(L, 1);
  const char *line = luaL_checkstring(L, 2);
  CURL *easy = cookie_handle(L, e);
  curl_easy_setopt(easy, CURLOPT_COOKIELIST, line);
  curl_easy_cleanup(easy);
  return 0;
}

static int engine_gc (lua_State *L) {
  struct engine *e = luaL_checkudata(L, 1, ENGINE);
  if (!e->closed)
    engine_close(e);
  return 0;
}

static int engine_closed (lua_State *L) {
  lua_pushboolean(L, check_engine(L, 1)->closed);
  return 1;
}


/* ---- parts ---- */

/* http_core.part(path) -> part | nil, message [, "directory"] */
static int part_new (lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct part *p = lua_newuserdatauv(L, sizeof *p, 0);
  memset(p, 0, sizeof *p);
  p->fd = -1;
  luaL_setmetatable(L, PART);
  int err = part_open(p, path);
  if (err == 0)
    return 1;
  push_errno(L, err);
  lua_pushstring(L, err == EISDIR ? "directory" : NULL);
  return 3;
}

/* part:resumable(url) -> validator or nil */
static int p_resumable (lua_State *L) {
  struct part *p = check_part(L, 1);
  if (part_resumable(p, luaL_checkstring(L, 2)))
    lua_pushstring(L, p->validator);
  else
    luaL_pushfail(L);
  return 1;
}

static int p_restart (lua_State *L) {
  return push_errno(L, part_restart(check_part(L, 1)));
}

static int p_size (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_part(L, 1)->size);
  return 1;
}

/* part:hash([state, at]) -> hex digest | nil, state, at (more to do) | nil, message */
static int p_hash (lua_State *L) {
  struct part *p = check_part(L, 1);
  struct sha256 h;
  size_t len;
  int64_t at = (int64_t)luaL_optinteger(L, 3, 0);
  const char *state = luaL_optlstring(L, 2, NULL, &len);
  sha256_init(&h);
  if (state != NULL) {
    luaL_argcheck(L, len == sizeof h, 2, "not a hash state");
    memcpy(&h, state, sizeof h);
  }
  int rc = part_hash(p, &h, &at, HASH_SLICE);
  if (rc < 0)
    return push_errno(L, -rc);
  if (rc == 0) {
    unsigned char digest[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    sha256_final(&h, digest);
    sha256_hex(digest, hex);
    lua_pushstring(L, hex);
    return 1;
  }
  luaL_pushfail(L);
  lua_pushlstring(L, (const char *)&h, sizeof h);
  lua_pushinteger(L, (lua_Integer)at);
  return 3;
}

/* part:commit(path [, keep]) -> true | nil, message; keep: replaces nothing */
static int p_commit (lua_State *L) {
  struct part *p = check_part(L, 1);
  return push_errno(L, part_commit(p, luaL_checkstring(L, 2), !lua_toboolean(L, 3)));
}

static int p_discard (lua_State *L) {
  part_discard(luaL_checkudata(L, 1, PART));
  return 0;
}

static int p_close (lua_State *L) {
  part_close(luaL_checkudata(L, 1, PART));
  return 0;
}


/* ---- plain functions ---- */

static int f_now (lua_State *L) {
  lua_pushnumber(L, now());
  return 1;
}

/* random() -> [0, 1): for pauses; math.random's sequence is the program's */
static int f_random (lua_State *L) {
  uint32_t x = 0;
  if (getrandom(&x, sizeof x, GRND_NONBLOCK) != (ssize_t)sizeof x)
    x = (uint32_t)(now() * 1e9);
  lua_pushnumber(L, x / 4294967296.0);
  return 1;
}

static int f_pid (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)getpid());
  return 1;
}

static int f_isatty (lua_State *L) {
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

/* sha256(string) -> hex digest */
static int f_sha256 (lua_State *L) {
  struct sha256 h;
  unsigned char digest[SHA256_SIZE];
  char hex[2 * SHA256_SIZE + 1];
  size_t len;
  const char *s = luaL_checklstring(L, 1, &len);
  sha256_init(&h);
  sha256_update(&h, s, len);
  sha256_final(&h, digest);
  sha256_hex(digest, hex);
  lua_pushstring(L, hex);
  return 1;
}

struct parser {
  CURLU *url;
  char *text;  /* what curl_url_get gave, until it is a Lua string */
};

static int parser_gc (lua_State *L) {
  struct parser *p = lua_touserdata(L, 1);
  curl_free(p->text);
  curl_url_cleanup(p->url);
  memset(p, 0, sizeof *p);
  return 0;
}

/* The parser that a state keeps for itself */
static struct parser *url_parser (lua_State *L) {
  static const char key = 'k';
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TNIL) {
    struct parser *p = lua_newuserdatauv(L, sizeof *p, 0);
    memset(p, 0, sizeof *p);
    set_finalizer(L, parser_gc);
    p->url = curl_url();
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
  }
  struct parser *p = lua_touserdata(L, -1);
  if (p->url == NULL)
    luaL_error(L, "not enough memory");
  return p;
}

static int push_url_part (lua_State *L, struct parser *p, CURLUPart what, unsigned flags) {
  curl_free(p->text);
  p->text = NULL;
  if (curl_url_get(p->url, what, &p->text, flags) != CURLUE_OK)
    return 0;
  lua_pushstring(L, p->text);
  return 1;
}

/* The end of "http://host:port" in a URL that is written plainly, and where
   the host begins and the port ends; NULL if it takes a parser to say */
static const char *plain_host (const char *url, size_t len, const char **host, int *tls) {
  const char *p;
  if (strlen(url) != len)
    return NULL;
  *tls = strncmp(url, "https://", 8) == 0;
  if (!*tls && strncmp(url, "http://", 7) != 0)
    return NULL;
  *host = p = url + 7 + *tls;
  while ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '.' || *p == '-')
    p++;
  return p > *host ? p : NULL;
}

/* origin(url) -> scheme, "host:port"; nothing if that takes a parser to say,
   or if there is a blank or a control character in it */
static int f_origin (lua_State *L) {
  size_t len;
  int tls, digits = 0, port = 0;
  const char *url = luaL_checklstring(L, 1, &len), *host;
  const char *end = plain_host(url, len, &host, &tls), *stop = end;
  if (end == NULL)
    return 0;
  if (*stop == ':')
    for (stop++; *stop >= '0' && *stop <= '9' && digits < 6; stop++, digits++)
      port = 10 * port + (*stop - '0');
  if ((*stop != '\0' && *stop != '/') || port > 65535 || (*end == ':' && digits == 0))
    return 0;
  for (const char *p = stop; *p != '\0'; p++)
    if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == '@')
      return 0;
  lua_pushstring(L, tls ? "https" : "http");
  lua_pushlstring(L, host, (size_t)(stop - host));
  if (digits == 0) {
    lua_pushstring(L, tls ? ":443" : ":80");
    lua_concat(L, 2);
  }
  return 2;
}

/* Without what was parsed before: it would be the base of a relative URL. */
static CURLUcode parse_anew (struct parser *p, const char *url) {
  curl_url_set(p->url, CURLUPART_URL, NULL, 0);
  return curl_url_set(p->url, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
}

/* parse_url(url) -> scheme, host, port (a string) | nil, message. Of another
   scheme than http and https only the scheme is told. */
static int f_parse_url (lua_State *L) {
  const char *url = luaL_checkstring(L, 1);
  struct parser *p = url_parser(L);
  CURLUcode rc = parse_anew(p, url);
  if (rc != CURLUE_OK) {
    luaL_pushfail(L);
    lua_pushstring(L, curl_url_strerror(rc));
    return 2;
  }
  return push_url_part(L, p, CURLUPART_SCHEME, 0) + push_url_part(L, p, CURLUPART_HOST, 0)
       + push_url_part(L, p, CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

static struct parser *parsed (lua_State *L, int arg) {
  const char *url = luaL_checkstring(L, arg);
  struct parser *p = url_parser(L);
  CURLUcode rc = parse_anew(p, url);
  luaL_argcheck(L, rc == CURLUE_OK, arg, "not a URL");
  return p;
}

/* split_user(url) -> the URL without user and password; user, password or nil */
static int f_split_user (lua_State *L) {
  struct parser *p = parsed(L, 1);
  lua_settop(L, 1);
  if (!push_url_part(L, p, CURLUPART_USER, CURLU_URLDECODE))
    lua_pushnil(L);
  if (!push_url_part(L, p, CURLUPART_PASSWORD, CURLU_URLDECODE))
    lua_pushnil(L);
  curl_url_set(p->url, CURLUPART_USER, NULL, 0);
  curl_url_set(p->url, CURLUPART_PASSWORD, NULL, 0);
  if (!push_url_part(L, p, CURLUPART_URL, 0))
    lua_pushvalue(L, 1);
  lua_replace(L, 1);
  return 3;
}

/* resolve(base, url) -> url as seen from base | nil */
static int f_resolve (lua_State *L) {
  struct parser *p = parsed(L, 1);
  if (curl_url_set(p->url, CURLUPART_URL, luaL_checkstring(L, 2), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK
      || !push_url_part(L, p, CURLUPART_URL, 0))
    luaL_pushfail(L);
  return 1;
}


/* ---- the tables of contents ---- */

static const luaL_Reg engine_methods[] = {
  {"close", engine_gc},
  {"closed", engine_closed},
  {"cookies", engine_cookies},
  {"group", engine_group},
  {"set_cookie", engine_set_cookie},
  {NULL, NULL}
};

static const luaL_Reg group_methods[] = {
  {"close", group_gc},
  {"expected", group_expected},
  {"received", group_received},
  {"start", group_start},
  {"wait", group_wait},
  {NULL, NULL}
};

static const luaL_Reg part_methods[] = {
  {"close", p_close},
  {"commit", p_commit},
  {"discard", p_discard},
  {"hash", p_hash},
  {"restart", p_restart},
  {"resumable", p_resumable},
  {"size", p_size},
  {NULL, NULL}
};

static const luaL_Reg functions[] = {
  {"default", engine_default},
  {"engine", engine_new},
  {"isatty", f_isatty},
  {"now", f_now},
  {"origin", f_origin},
  {"parse_url", f_parse_url},
  {"part", part_new},
  {"pid", f_pid},
  {"random", f_random},
  {"resolve", f_resolve},
  {"sha256", f_sha256},
  {"split_user", f_split_user},
  {NULL, NULL}
};

static void new_class (lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction finalizer) {
  if (luaL_newmetatable(L, name)) {
    lua_pushcfunction(L, finalizer);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, finalizer);
    lua_setfield(L, -2, "__close");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
}

/* curl's resolver threads may outlive the state that asked: its code, and
   ours, stays mapped for good. */
static void start_curl (void) {
  static const int here = 0;
  Dl_info info;
  if (dladdr(&here, &info) != 0 && info.dli_fname != NULL)
    (void)dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  http_start();
}

#if defined __GNUC__
__attribute__((visibility("default")))
#endif
int luaopen_conc_http_core (lua_State *L);

int luaopen_conc_http_core (lua_State *L) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, start_curl);
  new_class(L, ENGINE, engine_methods, engine_gc);
  new_class(L, GROUP, group_methods, group_gc);
  new_class(L, PART, part_methods, p_close);
  luaL_newlib(L, functions);
  lua_pushfstring(L, "%s", curl_version_info(CURLVERSION_NOW)->version);
  lua_setfield(L, -2, "curl_version");
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  return 1;
}
