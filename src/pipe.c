/*
** pipe.c - two ends; what one sends the other receives
*/
#include "pipe.h"

enum { CHANNEL1, CHANNEL2, END1, END2, PARTS };

static struct block *end_new (void) {
  struct block *b = arena_alloc(sizeof(struct pipe_end));
  if (b == NULL)
    return NULL;
  store_relaxed(&pipe_of(b)->in, NULL);
  store_relaxed(&pipe_of(b)->out, NULL);
  block_ready(b, KIND_PIPE);
  return b;
}

static void join_up (struct block *end, struct block *in, struct block *out) {
  block_ref(&pipe_of(end)->in, in);
  block_ref(&pipe_of(end)->out, out);
}

bool pipe_new (struct block *ends[2]) {
  struct block *part[PARTS];
  int n = 0;
  while (n < PARTS) {
    part[n] = n < END1 ? queue_new(KIND_CHANNEL, QUEUE_UNBOUNDED) : end_new();
    if (part[n] == NULL)
      break;
    n++;
  }
  if (n < PARTS) {
    while (n > 0)
      block_destroy(part[--n]);
    return false;
  }
  join_up(part[END1], part[CHANNEL1], part[CHANNEL2]);
  join_up(part[END2], part[CHANNEL2], part[CHANNEL1]);
  arena_settle(part[CHANNEL1]);
  arena_settle(part[CHANNEL2]);
  ends[0] = part[END1];
  ends[1] = part[END2];
  return true;
}

bool pipe_close (struct block *end) {
  bool open = queue_close(pipe_out(end), false);
  return queue_close(pipe_in(end), false) || open;
}

/* What was sent to an end that is gone, nobody can receive. */
static void pipe_destroy (struct block *b) {
  struct pipe_end *end = pipe_of(b);
  if (load_relaxed(&end->out) != NULL)
    queue_close(pipe_out(b), false);
  if (load_relaxed(&end->in) != NULL)
    queue_close(pipe_in(b), true);
  block_unref(&end->out);
  block_unref(&end->in);
}

void pipe_open (void) {
  static const struct kind_ops ops = { .name = "pipe", .destroy = pipe_destroy };
  arena_kind(KIND_PIPE, &ops);
}
