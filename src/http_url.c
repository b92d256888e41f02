/*
** http_url.c - URLs, parsed for Lua by libcurl's own parser
**
** What is checked must be what is asked for: so the parser is the one that the
** transfer uses. Only a URL that is written plainly is taken apart here.
*/

#define _GNU_SOURCE

#include "http_bind.h"

#include <string.h>

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
    bind_finalizer(L, parser_gc);
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
int url_origin (lua_State *L) {
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
int url_parse (lua_State *L) {
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
int url_split_user (lua_State *L) {
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
int url_resolve (lua_State *L) {
  struct parser *p = parsed(L, 1);
  if (curl_url_set(p->url, CURLUPART_URL, luaL_checkstring(L, 2), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK
      || !push_url_part(L, p, CURLUPART_URL, 0))
    luaL_pushfail(L);
  return 1;
}
