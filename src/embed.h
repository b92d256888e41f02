/*
** embed.h - floor 7: what a C host added (conc.h), for the rest of the floor
*/
#ifndef CONC_EMBED_H
#define CONC_EMBED_H

#include <lua.h>

/* L was made by conc, and is about to be used: the host's function is called. */
void embed_new_state (lua_State *L);
void bind_open_embed (lua_State *L);

#endif
