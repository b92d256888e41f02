-- A response: status, ok, reason, url, headers, body, elapsed, and of a
-- download path and bytes. One that failed has ok = false, error and no
-- status. This module is its metatable, so that a response sent to another
-- thread finds its methods there.
local response = {}
response.__index = response

-- What HTTP/2 no longer sends.
response.reasons = {
  [200] = "OK", [201] = "Created", [202] = "Accepted", [203] = "Non-Authoritative Information",
  [204] = "No Content", [205] = "Reset Content", [206] = "Partial Content",
  [300] = "Multiple Choices", [301] = "Moved Permanently", [302] = "Found", [303] = "See Other",
  [304] = "Not Modified", [307] = "Temporary Redirect", [308] = "Permanent Redirect",
  [400] = "Bad Request", [401] = "Unauthorized", [402] = "Payment Required", [403] = "Forbidden",
  [404] = "Not Found", [405] = "Method Not Allowed", [406] = "Not Acceptable",
  [407] = "Proxy Authentication Required", [408] = "Request Timeout", [409] = "Conflict",
  [410] = "Gone", [411] = "Length Required", [412] = "Precondition Failed",
  [413] = "Content Too Large", [414] = "URI Too Long", [415] = "Unsupported Media Type",
  [416] = "Range Not Satisfiable", [417] = "Expectation Failed", [421] = "Misdirected Request",
  [422] = "Unprocessable Content", [425] = "Too Early", [426] = "Upgrade Required",
  [428] = "Precondition Required", [429] = "Too Many Requests",
  [431] = "Request Header Fields Too Large", [451] = "Unavailable For Legal Reasons",
  [500] = "Internal Server Error", [501] = "Not Implemented", [502] = "Bad Gateway",
  [503] = "Service Unavailable", [504] = "Gateway Timeout", [505] = "HTTP Version Not Supported",
}

-- "404 Not Found"
function response.status_line(self)
  return self.reason ~= "" and ("%d %s"):format(self.status, self.reason) or tostring(self.status)
end

-- The body as a Lua value; raises if it is not JSON.
function response.json(self)
  if self.error then error("response:json: " .. self.error, 2) end
  if not self.body then error("response:json: the body went to " .. tostring(self.path), 2) end
  local ok, value = pcall(require("conc.http.json").decode, self.body)
  if not ok then
    error(("response:json: body of %s: %s"):format(self.url, tostring(value)), 2)
  end
  return value
end

-- Itself if it is ok; otherwise raises what went wrong.
function response.raise_for_status(self)
  if self.ok then return self end
  error(self.error or ("HTTP %s: %s"):format(response.status_line(self), self.url), 2)
end

function response.__tostring(self)
  if self.error then return ("conc.http response (failed: %s)"):format(self.error) end
  local size = self.bytes or #(self.body or "")
  return ("conc.http response (%s, %d bytes, %s)"):format(
    response.status_line(self), size, self.url)
end

return response
