/*
** http_bind.c - transfers and part files for Lua: module conc.http_core
**
** Check, call, push; http_bind.h names the files beside this one. What a request means (options, redirects, retries,
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

#include "http_bind.h"

#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core_api.h"

#define ENGINE	"conc.http.engine"
#define GROUP	"conc.http.group"

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
void bind_finalizer (lua_State *L, lua_CFunction f) {
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
  struct part *p = luaL_checkudata(L, arg, HTTP_PART);
  luaL_argcheck(L, p->fd >= 0, arg, "part is closed");
  return p;
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
  int64_t profile = request_number(L);
  struct transfer *t = transfer_new(box->e, &box->g, profile);
  if (t == NULL)
    return luaL_error(L, "not enough memory");
  box->loose = t;
  if (profile == 0 || t->profile != profile)
    request_profile(L, t);
  request_own(L, t);
  t->profile = t->mime == NULL ? profile : 0;
  pin(L, t);
  int rc = transfer_add(t);
  if (rc != 0)
    return luaL_error(L, "libcurl: %s", curl_multi_strerror((CURLMcode)rc));
  box->loose = NULL;
  return 0;
}


/* request, response | request, response or nil, failure, message */
static int push_result (lua_State *L, struct groupbox *box) {
  push_unpinned(L, box->loose);
  int n = response_push(L, box->loose);
  drop_loose(box);
  return 1 + n;
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
  bind_finalizer(L, slist_gc);
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
  luaL_setmetatable(L, HTTP_PART);
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
  part_discard(luaL_checkudata(L, 1, HTTP_PART));
  return 0;
}

static int p_close (lua_State *L) {
  part_close(luaL_checkudata(L, 1, HTTP_PART));
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

/* profile() -> a number that no other template has had, two apart, in whatever
   state and however often its module was loaded */
static int f_profile (lua_State *L) {
  static int64_t last = 0;
  lua_pushinteger(L, (lua_Integer)__atomic_add_fetch(&last, 2, __ATOMIC_RELAXED));
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
  {"origin", url_origin},
  {"parse_url", url_parse},
  {"part", part_new},
  {"pid", f_pid},
  {"profile", f_profile},
  {"random", f_random},
  {"resolve", url_resolve},
  {"sha256", f_sha256},
  {"split_user", url_split_user},
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
  new_class(L, HTTP_PART, part_methods, p_close);
  luaL_newlib(L, functions);
  lua_pushfstring(L, "%s", curl_version_info(CURLVERSION_NOW)->version);
  lua_setfield(L, -2, "curl_version");
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  return 1;
}
