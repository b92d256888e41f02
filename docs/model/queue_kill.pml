/*
** queue_kill.pml - the commit of a fifo's put and get (src/queue_fifo.c, F1)
**
** A putter and a getter, killed between any two steps. The item is one block.
** It is in a hand, or the queue owns it, and what a dead hand holds is destroyed
** unless the repair of the guard finds it in its place. To hold at the end: the
** block was got, or is in the queue, or was destroyed: one of them, once.
*/
bit pguard, gguard, putter_holds, getter_holds;   /* guards, and who died with one */
bit putter_hand, getter_hand;                     /* 'held' of their records */
bit prepared, state;                              /* puts.at[..].turn, puts.state */
bit taken;                                        /* gets.state */
bit putter_done, getter_done, putter_dead, getter_dead;
byte destroyed, got;

inline lock(g) { atomic { g == 0 -> g = 1 } }

/* Killed here, or not. */
#define STEP(dead)  if :: dead = 1; goto end :: skip fi

proctype putter () {
  putter_hand = 1;                     /* the block was made */
  STEP(putter_dead);
  atomic { pguard == 0 -> pguard = 1; putter_holds = 1 }
  STEP(putter_dead);
  prepared = 1;                        /* record and place are written */
  STEP(putter_dead);
  putter_hand = 0;                     /* store_disown */
  STEP(putter_dead);
  state = 1;                           /* the commit */
  STEP(putter_dead);
  atomic { pguard = 0; putter_holds = 0 }
end:
  putter_done = 1
}

proctype getter () {
  atomic { gguard == 0 -> gguard = 1; getter_holds = 1 }
  STEP(getter_dead);
  if
  :: state ->
    getter_hand = 1;                   /* arena_hold */
    STEP(getter_dead);
    taken = 1;                         /* the commit */
    STEP(getter_dead);
    atomic { gguard = 0; getter_holds = 0 }
    STEP(getter_dead);
    atomic { getter_hand = 0; got++ }  /* its value is made */
  :: else -> atomic { gguard = 0; getter_holds = 0 }
  fi;
end:
  getter_done = 1
}

/* The sweep of the dead: guards are taken over and repaired, then the hands. */
init {
  atomic { run putter(); run getter() }
  putter_done -> skip;
  if
  :: putter_dead ->
    if
    :: putter_holds ->
      if
      :: prepared && !state -> putter_hand = 0; state = 1     /* finish_put */
      :: else
      fi;
      atomic { pguard = 0; putter_holds = 0 }
    :: else
    fi;
    if
    :: putter_hand -> atomic { putter_hand = 0; destroyed++ }
    :: else
    fi
  :: else
  fi;
  getter_done -> skip;
  if
  :: getter_dead ->
    if
    :: getter_holds ->
      if
      :: state && !taken -> getter_hand = 0                   /* getters_repair */
      :: else
      fi;
      atomic { gguard = 0; getter_holds = 0 }
    :: else
    fi;
    if
    :: getter_hand -> atomic { getter_hand = 0; destroyed++ }
    :: else
    fi
  :: else
  fi;
  assert(got + destroyed + (state && !taken) == 1);
  assert(!(destroyed && !putter_dead && !getter_dead))
}
