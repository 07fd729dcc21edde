-- The requests of one run, made beforehand, and a line of figures at its end.
-- Arguments: method, number of hosts, bytes of body, "close" or "keep-alive", number of different requests.
local requests, number = {}, 0

init = function(args)
   local body = tonumber(args[3]) > 0 and string.rep("x", tonumber(args[3])) or nil
   local hosts, kinds = tonumber(args[2]), tonumber(args[5])
   for i = 0, math.max(hosts, kinds) - 1 do
      local headers = { Host = "r" .. (i % hosts) .. ".example.com" }
      if args[4] == "close" then headers["Connection"] = "close" end
      local path = kinds > 1 and wrk.path .. "?n=" .. i or wrk.path
      requests[i + 1] = wrk.format(args[1], path, headers, body)
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
