-- The requests of one run, made beforehand, and a line of figures at its end.
-- Arguments: method, number of hosts, bytes of body, "close" or "keep-alive".
local requests, number = {}, 0

init = function(args)
   local body = tonumber(args[3]) > 0 and string.rep("x", tonumber(args[3])) or nil
   for i = 0, tonumber(args[2]) - 1 do
      local headers = { Host = "r" .. i .. ".example.com" }
      if args[4] == "close" then headers["Connection"] = "close" end
      requests[i + 1] = wrk.format(args[1], wrk.path, headers, body)
   end
end

-- One host or many: the load generator does the same work.
request = function()
   number = number % #requests + 1
   return requests[number]
end

done = function(summary, latency)
   local e = summary.errors
   io.write(string.format("figures requests=%d microseconds=%d bytes=%d p50=%d p99=%d connect=%d read=%d write=%d timeout=%d status=%d\n",
      summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
      e.connect, e.read, e.write, e.timeout, e.status))
end
