/*
** queue.pml - the commit of a queue, and blocks in hands (src/queue_fifo.c,
** src/arena.h): no item is lost or doubled, whoever is killed where
**
** A putter brings two messages, a getter takes two; each can be killed between
** any two steps, and a second getter takes what is left. Each side has a guard.
** A message is free, in a hand, in the queue, or used; a store moves it only
** between hand and queue, and 'puts' and 'gets' are the commits. Who comes to a
** guard of a dead holder repairs it: is the block in the dead hand in its place?
** Then the sweep destroys what dead hands still hold.
*/
#define ITEMS  2
#define PUTTER 0
#define FIRST  1                 /* getters */
#define SECOND 2

byte slot[ITEMS], puts, gets;    /* slot[i] is message i + 1 once it is written */
byte hand[3];                    /* 0: empty */
byte put_guard, get_guard;       /* 0: free; else holder + 1 */
bool dead[3], swept[3], over[3];
byte used[ITEMS + 1], freed[ITEMS + 1];
byte kills;

inline step () {
  if
  :: mortal && kills > 0 -> atomic { kills--; dead[me] = true; goto gone }
  :: true
  fi
}

/* Was the commit made? Then the hand is empty, the message is in the queue. */
inline repair_put (who) {
  if
  :: hand[who] != 0 && puts > 0 && slot[puts - 1] == hand[who] -> hand[who] = 0
  :: else
  fi
}

/* Was the commit not made? Then the message is in the queue still. */
inline repair_get (who) {
  if
  :: hand[who] != 0 && gets < puts && slot[gets] == hand[who] -> hand[who] = 0
  :: else
  fi
}

inline lock_puts () {
  atomic {
    if
    :: put_guard == 0
    :: put_guard != 0 && dead[put_guard - 1] -> repair_put(put_guard - 1)
    fi;
    put_guard = me + 1
  }
}

inline lock_gets () {
  atomic {
    if
    :: get_guard == 0
    :: get_guard != 0 && dead[get_guard - 1] -> repair_get(get_guard - 1)
    fi;
    get_guard = me + 1
  }
}

proctype putter (byte me; bool mortal) {
  byte i = 1;
  do
  :: i <= ITEMS ->
     hand[me] = i;               /* arena_alloc */
     step();
     lock_puts();
     step();
     slot[puts] = i;
     step();
     puts++;                     /* the commit */
     step();
     hand[me] = 0;               /* arena_settle */
     step();
     put_guard = 0;
     step();
     i++
  :: else -> break
  od;
gone:
  over[me] = true
}

proctype getter (byte me; bool mortal) {
  do
  :: gets < ITEMS ->
     if                          /* waits; gives up when no more will come */
     :: puts > gets
     :: puts == gets && over[PUTTER] -> break
     fi;
     lock_gets();
     if
     :: puts == gets -> get_guard = 0
     :: puts > gets ->
        step();
        hand[me] = slot[gets];   /* arena_hold */
        step();
        gets++;                  /* the commit */
        step();
        get_guard = 0;
        step();
        atomic { used[hand[me]]++; hand[me] = 0 };
        step()
     fi
  :: gets >= ITEMS -> break
  od;
gone:
  over[me] = true
}

/* First the guards, then the hands (record.h). */
proctype sweeper (byte who) {
  byte me = who;
end_idle:
  dead[who];
  atomic {
    if
    :: put_guard == who + 1 -> repair_put(who); put_guard = 0
    :: else
    fi
  };
  atomic {
    if
    :: get_guard == who + 1 -> repair_get(who); get_guard = 0
    :: else
    fi
  };
  atomic {
    if
    :: hand[who] != 0 -> freed[hand[who]]++; hand[who] = 0
    :: else
    fi;
    swept[who] = true
  };
  me = who
}

init {
  byte i, in_queue;
  atomic {
    kills = 2;
    run putter(PUTTER, true); run getter(FIRST, true); run getter(SECOND, false);
    run sweeper(PUTTER); run sweeper(FIRST)
  };
  over[0] && over[1] && over[2];
  (!dead[0] || swept[0]) && (!dead[1] || swept[1]);
  i = 1;
  do
  :: i <= ITEMS ->
     in_queue = (gets < i && i <= puts -> 1 : 0);
     assert(used[i] + freed[i] + in_queue <= 1);
     /* what was put and not taken is there; what was taken was used or in a dead hand */
     assert(i > puts || used[i] + freed[i] + in_queue == 1);
     i++
  :: else -> break
  od;
  assert(hand[0] == 0 && hand[1] == 0 && hand[2] == 0);
  assert(gets == puts || (dead[FIRST] && gets <= puts))
}
