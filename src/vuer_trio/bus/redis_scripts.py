"""What Redis does in one step, in its language; ``KEYS`` are in the order of `RedisKeys`."""

from __future__ import annotations

from typing import Final

__all__ = ["COMPACT", "FOUND", "LOCK", "PAGE", "TIME", "UNLOCK"]

#: seconds and microseconds of its clock; coredis gives the latter a thousandth of their weight
TIME: Final = "return redis.call('TIME')"

#: stream, snapshot; id, field, value, snapshot: begin a journal, if there is none. What may be
#: refused comes first: after a write, Redis refuses a script nothing
FOUND: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 and redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('SET', KEYS[2], ARGV[4])
redis.call('DEL', KEYS[1])
redis.call('XADD', KEYS[1], ARGV[1], ARGV[2], ARGV[3])
return 1
"""

#: lock; owner, milliseconds: take the lock, or keep it
LOCK: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return 1
end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
"""

#: lock; owner: give the lock back
UNLOCK: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""

#: stream; id, count, bytes: if that entry is there, those after it, and 1 if there are more. If the
#: first alone is larger, none, and its size. XRANGE knows no other bound than their number
PAGE: Final = """
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return {} end
local found, from, size = {}, '(' .. ARGV[1], 0
while #found < tonumber(ARGV[2]) do
  local entry = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 1)[1]
  if not entry then return {found, 0} end
  for _, part in ipairs(entry[2]) do size = size + #part end
  if size > tonumber(ARGV[3]) then return {found, #found > 0 and 1 or size} end
  found[#found + 1] = entry
  from = '(' .. entry[1]
end
return {found, 1}
"""

#: stream, snapshot, lock; owner, snapshot, id, milliseconds, field: replace the snapshot, and drop
#: what is before it and older than that
COMPACT: Final = """
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return 0 end
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
redis.call('XADD', KEYS[1], '*', ARGV[5], ARGV[3])
local now = redis.call('TIME')
local oldest = now[1] * 1000 + math.floor(now[2] / 1000) - ARGV[4]
local at = tonumber(string.match(ARGV[3], '^%d+'))
if oldest <= at then
  redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f-0', oldest))
else
  redis.call('XTRIM', KEYS[1], 'MINID', ARGV[3])
end
redis.call('DEL', KEYS[3])
return 1
"""
