-- wrk's side of a run: every request is a webhook whose alerts are all new (or, repeating, all known).
-- arguments: template file, seed, services, repeat (0 or 1), number of the first service
-- The template holds @F for a fingerprint, @N for a number of 8 digits and @S for a service, each once an alert or more.

local bit = require("bit")
local pieces, kinds = {}, {}
local a, b, services, number = 1, 2, 1, 0
local fixed = nil

local function shift(x)
  x = bit.bxor(x, bit.lshift(x, 13))
  x = bit.bxor(x, bit.rshift(x, 17))
  return bit.bxor(x, bit.lshift(x, 5))
end

function init(args)
  local file = assert(io.open(args[1], "r"))
  local text = file:read("*a")
  file:close()
  local from = 1
  while true do
    local at = string.find(text, "@[FNS]", from)
    pieces[#pieces + 1] = string.sub(text, from, (at or 0) - 1)
    if not at then break end
    kinds[#kinds + 1] = string.sub(text, at + 1, at + 1)
    from = at + 2
  end
  a, b = tonumber(args[2]) * 7919 + 1, tonumber(args[2]) * 104729 + 7
  for _ = 1, 20 do a, b = shift(a), shift(b) end
  services = tonumber(args[3])
  number = tonumber(args[5])
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  if args[4] == "1" then fixed = build() end
end

function build()
  local out = {}
  number = number + 1
  local service = string.format("svc-%04d", number % services)
  for i = 1, #kinds do
    out[#out + 1] = pieces[i]
    local kind = kinds[i]
    if kind == "F" then
      a, b = shift(a), shift(b)
      out[#out + 1] = bit.tohex(a) .. bit.tohex(b)
    elseif kind == "N" then
      out[#out + 1] = bit.tohex(a)
    else
      out[#out + 1] = service
    end
  end
  out[#out + 1] = pieces[#pieces]
  return wrk.format(nil, nil, nil, table.concat(out))
end

function request()
  return fixed or build()
end

function done(summary, latency)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format(
    '\nRESULT {"requests":%d,"seconds":%f,"p50":%f,"p99":%f,"max":%f,"refused":%d,"failed":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3, summary.errors.status, failed))
end
