-- conc.http against real servers on loopback: nginx with and without TLS, and
-- one that misbehaves (spec/http/). No test needs the outside.
-- timeout: 240
local helper = require "spec.helper"
local http = require "conc.http"
local core = require "conc.http_core"
local servers = require "spec.http.servers"

local dir, bad, nginx

local function sh(command)
  local pipe = io.popen(command .. " 2>/dev/null")
  local text = pipe:read("a")
  pipe:close()
  return text
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local function path_of(name) return dir .. "/out/" .. name end

-- What is in the folder that downloads go to
local function left() return (sh("ls -A " .. dir .. "/out"):gsub("\n", " ")) end

local function clean() sh("rm -rf " .. dir .. "/out && mkdir " .. dir .. "/out") end

-- nil, and a message in which every pattern is found
local function refused(value, message, ...)
  assert.is_nil(value)
  assert.are.equal("string", type(message))
  for _, pattern in ipairs {...} do
    assert.truthy(message:find(pattern), ("%q has no %q"):format(message, pattern))
  end
end

local function raises(pattern, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  message = tostring(message)
  assert.truthy(message:find(pattern), ("%q has no %q"):format(message, pattern))
end

local function took(f, ...)
  local began = core.now()
  local results = table.pack(f(...))
  return core.now() - began, table.unpack(results, 1, results.n)
end

describe("conc.http", function ()
  setup(function ()
    dir = sh("mktemp -d"):gsub("\n", "")
    clean()
    bad = servers.misbehaving(dir)
    nginx = servers.nginx(dir)
  end)

  teardown(function ()
    bad.stop()
    nginx.stop()
    sh("rm -rf " .. dir)
  end)

  before_each(clean)

  describe("a response", function ()
    it("has status, reason, url, body and elapsed", function ()
      local r = assert(http.get(nginx.http .. "/hello.txt"))
      assert.are.equal(200, r.status)
      assert.are.equal("OK", r.reason)
      assert.is_true(r.ok)
      assert.are.equal(nginx.http .. "/hello.txt", r.url)
      assert.are.equal("hello\n", r.body)
      assert.is_true(r.elapsed > 0 and r.elapsed < 20)
      assert.truthy(tostring(r):find("200 OK, 6 bytes"))
    end)

    it("has headers in any case, with repeated values kept", function ()
      local r = assert(http.get(bad.url .. "/echo"))
      assert.are.equal("one, two", r.headers["X-TWICE"])
      assert.are.same({"one", "two"}, r.headers:all("x-twice"))
      assert.are.same({}, r.headers:all("absent"))
      assert.is_nil(r.headers.absent)
      local seen = {}
      for name, value in pairs(r.headers) do seen[name] = value end
      assert.are.equal("one, two", seen["x-twice"])
      assert.are.equal(r.headers["content-length"], seen["content-length"])
    end)

    it("of 400 or more is an answer and no failure", function ()
      local r = assert(http.get(bad.url .. "/status?404"))
      assert.are.equal(404, r.status)
      assert.is_false(r.ok)
      assert.are.equal("Whatever", r.reason)
      assert.are.equal("body of 404", r.body)
      raises("HTTP 404 Whatever: http://127", function () r:raise_for_status() end)
      local fine = http.get(nginx.http .. "/hello.txt")
      assert.are.equal(fine, fine:raise_for_status())
    end)

    it("gives its JSON as Lua values", function ()
      local r = http.get(bad.url .. '/json?{"a":[1,2,null],"b":{"c":"d"}}')
      local value = r:json()
      assert.are.same({"d", 2}, {value.b.c, value.a[2]})
      assert.are.equal(http.null, value.a[3])
      assert.are.equal("integer", math.type(value.a[1]))
      assert.are.equal(9007199254740993, http.get(bad.url .. "/json?[9007199254740993]"):json()[1])
      raises("response:json: body of http", function ()
        http.get(bad.url .. "/json?{oops"):json()
      end)
    end)

    it("needs a JSON library for that, any of two", function ()
      local script = [[
        local hidden = {...}
        for _, name in ipairs(hidden) do
          package.preload[name] = function () error("not installed") end
        end
        local http = require "conc.http"
        local r = http.get("%s/json?[1,%%22x%%22,null]")
        print(pcall(function ()
          local v = r:json()
          assert(v[1] == 1 and v[2] == "x" and v[3] == http.null)
          local echo = http.post("%s/echo", {json = {http.null, "y", 7}})
          return echo.body:match("%%b[]$")
        end))]]
      local function outcome(...)
        local run = helper.run_script(script:format(bad.url, bad.url), {args = {...}})
        return run.out .. run.err
      end
      assert.are.equal('true\t[null,"y",7]\n', outcome())
      assert.are.equal('true\t[null,"y",7]\n', outcome("cjson"))
      assert.truthy(outcome("cjson", "dkjson"):find("false.*lua%-cjson or dkjson"))
    end)

    it("of HTTP/2 has a reason as well", function ()
      local r = assert(http.get(nginx.https .. "/hello.txt", {ca = nginx.ca}))
      assert.are.equal("OK", r.reason)
      assert.are.equal("Not Found", http.get(nginx.https .. "/nope", {ca = nginx.ca}).reason)
    end)

    it("is decompressed", function ()
      local r = assert(http.get(nginx.http .. "/packed/long.txt"))
      assert.are.equal("gzip", r.headers["content-encoding"])
      assert.are.equal(130000, #r.body)
    end)
  end)

  describe("a request", function ()
    local function echo(method, url, opts)
      local r = assert(http[method](bad.url .. url, opts))
      local head, body = r.body:match("^(.-)\n\n(.*)$")
      return head .. "\n", body
    end

    it("has the method of its function", function ()
      for _, method in ipairs {"get", "post", "put", "patch", "delete"} do
        assert.truthy(echo(method, "/echo"):find("^" .. method:upper() .. " /echo\n"))
      end
      local r = assert(http.head(bad.url .. "/echo"))
      assert.are.equal("", r.body)
      assert.truthy(tonumber(r.headers["content-length"]) > 0)
    end)

    it("is a table for http.request", function ()
      local r = assert(http.request{url = bad.url .. "/echo", method = "REPORT", body = "x\0y",
                                    headers = {["X-One"] = "1"}})
      assert.truthy(r.body:find("^REPORT /echo\n"))
      assert.truthy(r.body:find("\nX%-One: 1\n"))
      assert.truthy(r.body:find("\n\nx%z?"))
      assert.are.equal("x\0y", r.body:sub(-3))
      assert.truthy(http.request{url = bad.url .. "/echo", body = "b"}.body:find("^POST"))
      raises("'url' is missing", http.request, {})
      raises("table expected", http.request, "http://x/")
    end)

    it("carries forms, JSON, queries and files", function ()
      local head, body = echo("post", "/echo", {form = {a = "1 & 2", b = {"x", "y"}}})
      assert.are.equal("a=1+%26+2&b=x&b=y", body)
      assert.truthy(head:find("Content%-Type: application/x%-www%-form%-urlencoded\n"))
      head, body = echo("post", "/echo", {json = {1, 2}})
      assert.are.equal("[1,2]", body)
      assert.truthy(head:find("Content%-Type: application/json\n"))
      head = echo("get", "/echo?x=1", {query = {["\195\188"] = "a b", c = 3}})
      assert.truthy(head:find("/echo%?x=1&c=3&%%C3%%BC=a%%20b\n"))
      helper.write_file(path_of("up"), "file\0content")
      head, body = echo("post", "/echo", {
        form = {field = "value"},
        files = {file = {path = path_of("up"), type = "text/plain"},
                 other = {data = "d", filename = "n"}},
      })
      assert.truthy(head:find("multipart/form%-data; boundary="))
      assert.truthy(body:find('name="field"\r\n\r\nvalue', 1, true))
      assert.truthy(body:find('name="file"; filename="up"\r\nContent-Type: text/plain', 1, true))
      assert.truthy(body:find("file\0content", 1, true))
      assert.truthy(body:find('name="other"; filename="n"', 1, true))
    end)

    it("has no content type or delay that nobody asked for", function ()
      local head = echo("post", "/echo", {body = ("x"):rep(2000000)})
      assert.falsy(head:find("Content%-Type"))
      assert.falsy(head:find("Expect"))
      head = echo("post", "/echo", {body = "<a/>", headers = {["content-type"] = "text/xml"}})
      assert.truthy(head:find("content%-type: text/xml\n"))
    end)

    it("carries headers, with several values, none, or taken out", function ()
      local head = echo("get", "/echo", {user_agent = "me", headers = {
        ["X-List"] = {"a", "b"}, ["X-Empty"] = "", ["X-Number"] = 3, Accept = false}})
      assert.truthy(head:find("X%-List: a\nX%-List: b\n"))
      assert.truthy(head:find("X%-Empty: ?\n"))
      assert.truthy(head:find("X%-Number: 3\n"))
      assert.falsy(head:find("\nAccept:"))
      assert.truthy(head:find("User%-Agent: me\n"))
      assert.truthy(echo("get", "/echo"):find("User%-Agent: conc"))
    end)

    it("carries credentials", function ()
      local secret = nginx.http .. "/private/secret.txt"
      assert.are.equal(401, http.get(secret).status)
      assert.are.equal("the secret\n", http.get(secret, {auth = {"ann", "secret"}}).body)
      local in_url = http.get((secret:gsub("//", "//ann:secret@")))
      assert.are.equal("the secret\n", in_url.body)
      assert.are.equal(secret, in_url.url)
      local head = echo("get", "/echo", {bearer = "to.ken"})
      assert.truthy(head:find("Authorization: Bearer to.ken\n"))
    end)
  end)

  describe("connections", function ()
    it("are reused between calls", function ()
      local first = http.get(bad.url .. "/connection").body
      for _ = 1, 3 do assert.are.equal(first, http.get(bad.url .. "/connection").body) end
      local list = http.get_many({bad.url .. "/connection"})
      assert.are.equal(first, list[1].body)
    end)

    it("of HTTP/2 carry many transfers at once", function ()
      local urls = {}
      for i = 1, 30 do urls[i] = nginx.https .. "/connection?" .. i end
      local seen, n = {}, 0
      for _, r in ipairs(http.get_many(urls, {ca = nginx.ca, concurrency = 30})) do
        local id, protocol = assert(r.body, r.error):match("^(%d+) (.*)$")
        assert.are.equal("HTTP/2.0", protocol)
        if not seen[id] then n = n + 1 end
        seen[id] = true
      end
      assert.are.equal(1, n)
    end)

    it("are not those of a parent process", function ()
      local script = ([[
        local conc, http = require "conc", require "conc.http"
        local url = "%s/connection"
        local mine = http.get(url).body
        local p = conc.process(function () return http.get(url).body, http.get(url).body end)
        local first, second = p:result()
        print(first ~= mine, first == second, http.get(url).body == mine)
        local s <close> = http.session{}
        local kept = s:get(url).body
        p = conc.process(function () return s:get(url).body end)
        print(p:result() ~= kept, s:get(url).body == kept)]]):format(bad.url)
      local run = helper.run_script(script)
      assert.are.equal("true\ttrue\ttrue\ntrue\ttrue\n", run.out .. run.err)
    end)
  end)

  it("goes on in both processes when it forks in the middle", function ()
    local run = helper.run_script(([[
      local conc, http = require "conc", require "conc.http"
      local url, path = "%s", "%s"
      local child
      local jobs = {{url .. "/json?1", path .. "a"}, {url .. "/part?forked,0", path .. "b"}}
      for i = 3, 9 do jobs[i] = {url .. "/slow?0.3", path .. i} end
      local list = http.download_many(jobs, {on_done = function (i)
        child = child or conc.process(function ()
          local r = assert(http.get(url .. "/json?2"))
          return r.body, #http.get_many{url .. "/json?3", url .. "/json?4"}
        end)
      end})
      print(child:result())
      for i, r in ipairs(list) do io.write(tostring(r.ok), r.bytes or 0, " ") end]])
      :format(bad.url, path_of("")))
    assert.are.equal("2\t2\ntrue1 false0 true7 true7 true7 true7 true7 true7 true7 ",
      run.out .. run.err)
    assert.are.equal("3 4 5 6 7 8 9 a ", left())
  end)

  describe("redirects", function ()
    it("are followed, and the final URL is told", function ()
      local r = assert(http.get(bad.url .. "/hops?3"))
      assert.are.equal("arrived", r.body)
      assert.are.equal(bad.url .. "/hops?0", r.url)
      assert.are.equal("arrived", http.get(bad.url .. "/hops?2", {redirects = 2}).body)
    end)

    it("that do not end are refused", function ()
      local r, message = http.get(bad.url .. "/loop")
      refused(r, message, "more than 10 redirects", "/loop")
      r, message = http.get(bad.url .. "/hops?3", {redirects = 2})
      refused(r, message, "more than 2 redirects")
    end)

    it("are given as they are where none are wanted", function ()
      local r = assert(http.get(bad.url .. "/hops?3", {redirects = 0}))
      assert.are.equal(302, r.status)
      assert.are.equal("/hops?2", r.headers.location)
    end)

    it("to files or other schemes are refused", function ()
      for _, target in ipairs {"file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/"} do
        local r, message = http.get(bad.url .. "/302?" .. target)
        refused(r, message, "redirect refused", "only http and https")
      end
    end)

    it("change the method as browsers do", function ()
      local function method(status, how)
        local r = http.request{url = bad.url .. "/" .. status .. "?/echo", method = how, body = "b"}
        return r.body:match("^%u+")
      end
      assert.are.same({"GET", "GET", "GET", "POST"},
        {method(301, "POST"), method(302, "POST"), method(303, "POST"), method(307, "POST")})
      assert.are.same({"PUT", "PUT", "GET", "PUT"},
        {method(301, "PUT"), method(302, "PUT"), method(303, "PUT"), method(307, "PUT")})
      assert.are.equal("GET", http.delete(bad.url .. "/303?/echo").body:match("^%u+"))
      local echo = http.post(bad.url .. "/307?/echo", {body = "again"}).body
      assert.truthy(echo:find("again$"))
    end)

    it("take no credentials to another host", function ()
      local private = {["X-Api-Key"] = "s3cret", Cookie = "id=s3cret", Accept = "a/b"}
      for _, opts in ipairs {{auth = {"ann", "s3cret"}}, {bearer = "s3cret"},
                             {headers = {Authorization = "Basic s3cret"}}} do
        opts.headers = opts.headers or private
        local near = http.get(bad.url .. "/302?/echo", opts).body
        assert.truthy(near:find("Authorization: ") and near:find("s3cret") or near:find("Basic"))
        local far = http.get(bad.url .. "/302?" .. bad.other .. "/echo", opts).body
        assert.falsy(far:find("Authorization"))
        assert.falsy(far:find("s3cret"))
      end
      local far = http.get(bad.url .. "/302?" .. bad.other .. "/echo", {headers = private}).body
      assert.truthy(far:find("Accept: a/b"))
      far = http.get((bad.url:gsub("//", "//ann:s3cret@")) .. "/302?" .. bad.other .. "/echo").body
      assert.falsy(far:find("Authorization"))
      -- nor does the way back bring them out again
      local back = bad.url .. "/302?" .. bad.other .. "/302%3f" .. bad.url .. "/echo"
      assert.falsy(http.get(back, {bearer = "s3cret"}).body:find("s3cret"))
    end)
  end)

  describe("what goes wrong", function ()
    it("is told: bad URLs and schemes", function ()
      for _, url in ipairs {"", "nonsense", "http://", "http:///x", "//host/x", "http://a b/",
                            "http://127.0.0.1:99999/", "http://[::1/", "http://x\r\nHost: y/",
                            "http://x/\0", "http://x/a b", "http://%41%0d%0a/"} do
        local r, message = http.get(url)
        refused(r, message, "bad URL")
      end
      for _, url in ipairs {"file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x/", "dict://x/",
                            "FILE:///etc/passwd", "javascript:alert(1)", "smtp://127.0.0.1/"} do
        local r, message = http.get(url)
        refused(r, message, "only http and https")
      end
    end)

    it("is told: no such host, nobody there", function ()
      local r, message = http.get("http://no-such-host.invalid/")
      refused(r, message, "GET http://no%-such%-host.invalid/", "[Rr]esolve")
      r, message = http.get("http://127.0.0.1:" .. servers.free_port() .. "/")
      refused(r, message, "Connection refused")
    end)

    it("is told: answers that break off or are none", function ()
      for _, path in ipairs {"/half", "/reset", "/nothing", "/garbage"} do
        local r, message = http.get(bad.url .. path, {timeout = 20})
        refused(r, message, path)
      end
      local r = assert(http.get(bad.url .. "/long"))
      assert.are.equal("12345", r.body)
    end)

    it("is told: certificates", function ()
      local r, message = http.get(nginx.https .. "/hello.txt")
      refused(r, message, "certificate")
      for _, name in ipairs {"expired", "selfsigned"} do
        r, message = http.get(nginx[name] .. "/hello.txt", {ca = nginx.ca})
        refused(r, message, "certificate")
        assert.are.equal("hello\n", http.get(nginx[name] .. "/hello.txt", {verify = false}).body)
        -- and the unverified connection is not taken for one that was verified
        r, message = http.get(nginx[name] .. "/hello.txt", {ca = nginx.ca})
        refused(r, message, "certificate")
      end
      r, message = http.get(nginx.https .. "/hello.txt", {ca = "/no/such/file"})
      refused(r, message, "/no/such/file")
      assert.is_true(http.get(nginx.https .. "/hello.txt", {ca = dir .. "/authorities"}).ok)
    end)

    it("never shows a password", function ()
      local _, message = http.get("http://ann:s3cret@127.0.0.1:1/")
      assert.falsy(message:find("s3cret"))
      _, message = http.get("ftp://ann:s3cret@127.0.0.1/")
      assert.falsy(message:find("s3cret"))
    end)

    it("is raised where the call itself is wrong", function ()
      raises("http_spec.lua:%d+: bad argument #1 to 'get' %(string expected, got no value%)",
        function () http.get(nil) end)
      raises("bad argument #2 to 'get' %(table expected, got number%)", http.get, "http://x/", 1)
      raises("get: unknown option 'timout'; did you mean 'timeout'%?", http.get, "http://x/",
        {timout = 1})
      raises("unknown option 'max_byte'; did you mean 'max_bytes'", http.get_many, {},
        {max_byte = 1})
      raises("unknown option 'body'", http.get, "http://x/", {body = "x"})
      raises("no 'gte' in conc.http; did you mean 'get'%?", function () return http.gte end)
      for name, value in pairs {timeout = 0 / 0, retries = -1, redirects = 1.5, max_bytes = "1",
                                verify = 1, headers = "x", auth = {"a"}, bearer = "a\r\nb",
                                user_agent = "a\nb", proxy = 1, query = "x", ca = ""} do
        raises("option '" .. name .. "'", http.get, "http://x/", {[name] = value})
      end
      for name, value in pairs {concurrency = 0, per_host = 0, on_done = 1, progress = "x"} do
        raises("option '" .. name .. "'", http.get_many, {}, {[name] = value})
      end
      raises("exclude each other", http.post, "http://x/", {body = "x", json = {}})
      raises("No such file", http.post, "http://x/", {files = {f = "/no/such/file"}})
    end)

    it("is raised for headers that are more than headers", function ()
      for _, headers in ipairs {{["X"] = "a\r\nEvil: b"}, {["X"] = "a\nb"}, {["X"] = "a\0b"},
                                {["X\r\nEvil"] = "a"}, {["X: y"] = "a"}, {[""] = "a"},
                                {["Content-Length"] = "5"}, {["Transfer-Encoding"] = "chunked"},
                                {"X: y"}, {X = {}, Y = {"a", "b\r\nc"}}} do
        raises("header", http.get, bad.url .. "/echo", {headers = headers})
      end
      raises("option 'method'", http.request, {url = bad.url, method = "GET / HTTP/1.1\r\nX: y"})
    end)
  end)

  describe("max_bytes", function ()
    it("stops a body that does not end", function ()
      local seconds, r, message = took(http.get, bad.url .. "/endless", {max_bytes = 1000000})
      refused(r, message, "larger than max_bytes %(1000000%)")
      assert.is_true(seconds < helper.soon)
    end)

    it("counts what comes out of decompression", function ()
      local r, message = http.get(bad.url .. "/bomb", {max_bytes = 1000000})
      refused(r, message, "max_bytes")
      assert.are.equal(20000000, #http.get(bad.url .. "/bomb").body)
    end)

    it("lets through what is exactly as large", function ()
      assert.are.equal(6, #http.get(nginx.http .. "/hello.txt", {max_bytes = 6}).body)
      local r, message = http.get(nginx.http .. "/hello.txt", {max_bytes = 5})
      refused(r, message, "max_bytes")
    end)

    it("or not, headers have an end", function ()
      local r, message = http.get(bad.url .. "/endless-headers", {timeout = 20})
      refused(r, message, "header")
    end)
  end)

  describe("time", function ()
    it("bounds the whole call", function ()
      for _, path in ipairs {"/slow?5", "/drip", "/stall", "/endless"} do
        local seconds, r, message = took(http.get, bad.url .. path, {timeout = 0.3})
        refused(r, message, "^timeout: GET ")
        assert.is_true(seconds >= 0.25 and seconds < 0.3 + helper.pace(1), path .. " " .. seconds)
      end
      refused(http.get(bad.url .. "/echo", {timeout = 0}))
    end)

    it("bounds redirects and tries together", function ()
      local seconds, r, message = took(http.get, bad.url .. "/flaky?together,100",
                                       {timeout = 0.5, retries = 100})
      assert.is_true(seconds < 0.5 + helper.pace(1))
      assert.truthy(r and r.status == 503 or message:find("timeout"))
    end)

    it("ends a transfer that stands still", function ()
      local seconds, r, message = took(http.get, bad.url .. "/stall", {stall_timeout = 1})
      refused(r, message, "timeout", "too slow")
      assert.is_true(seconds < helper.pace(10))
    end)

    it("ends a connection that is not answered", function ()
      local listener = require("socket").bind("127.0.0.1", 0, 0)
      local _, port = listener:getsockname()
      local fill = {}
      for i = 1, 3 do
        fill[i] = require("socket").tcp()
        fill[i]:settimeout(0)
        fill[i]:connect("127.0.0.1", port)
      end
      local seconds, r, message = took(http.get, "http://127.0.0.1:" .. port,
                                       {connect_timeout = 0.3})
      refused(r, message, "timeout")
      assert.is_true(seconds < 0.3 + helper.pace(1))
      for _, s in ipairs(fill) do s:close() end
      listener:close()
    end)
  end)

  describe("retries", function ()
    it("are made for 503, after the pause that the server asks for", function ()
      assert.are.equal(503, http.get(bad.url .. "/flaky?none,1").status)
      local r = assert(http.get(bad.url .. "/flaky?some,2", {retries = 2}))
      assert.are.equal("try 3", r.body)
      local seconds
      seconds, r = took(http.get, bad.url .. "/flaky?asked,1,1", {retries = 1})
      assert.are.equal("try 2", r.body)
      assert.is_true(seconds >= 0.9)
      local date = os.date("!%a,%%20%d%%20%b%%20%Y%%20%H:%M:%S%%20GMT", os.time() + 2)
      seconds, r = took(http.get, bad.url .. "/flaky?dated,1," .. date, {retries = 1})
      assert.are.equal("try 2", r.body)
      assert.is_true(seconds >= 0.9)
      assert.are.equal(503, http.get(bad.url .. "/flaky?many,5", {retries = 2}).status)
      assert.are.equal("3", http.get(bad.url .. "/count?many").body)
    end)

    it("do not wait longer than is sensible or the time allows", function ()
      local seconds, r = took(http.get, bad.url .. "/flaky?long,1,100000", {retries = 5})
      assert.are.equal(503, r.status)
      assert.is_true(seconds < helper.soon)
      seconds, r = took(http.get, bad.url .. "/flaky?late,1,5", {retries = 5, timeout = 1})
      assert.are.equal(503, r.status)
      assert.is_true(seconds < helper.soon)
    end)

    it("are made for connections that break", function ()
      assert.are.equal("try 2", http.get(bad.url .. "/flaky-reset?a,1", {retries = 1}).body)
      refused(http.get(bad.url .. "/flaky-reset?b,9"))
      refused(http.get("http://127.0.0.1:" .. servers.free_port(), {retries = 1}))
    end)

    it("are not made of what is done once", function ()
      assert.are.equal(503, http.post(bad.url .. "/flaky?post,1", {retries = 3}).status)
      assert.are.equal("1", http.get(bad.url .. "/count?post").body)
      assert.are.equal(200, http.get(bad.url .. "/echo").status)  -- a connection to be reused
      local r, message = http.post(bad.url .. "/flaky-reset?once,1", {retries = 3})
      refused(r, message, "POST")
      assert.are.equal("1", http.get(bad.url .. "/count?once").body)
      assert.are.equal("try 2", http.put(bad.url .. "/flaky?put,1", {retries = 3}).body)
    end)
  end)

  describe("get_many", function ()
    it("gives responses in order, failures among them", function ()
      local done = {}
      local list = http.get_many({
        bad.url .. "/slow?0.2", "nonsense", nginx.http .. "/hello.txt",
        {url = bad.url .. "/echo", method = "PUT", body = "b"}, bad.url .. "/half",
        {bad.url .. "/status?500"}, "http://127.0.0.1:" .. servers.free_port(),
      }, {on_done = function (i, r) done[i] = r end})
      assert.are.equal(7, #list)
      for i, r in ipairs(list) do assert.are.equal(r, done[i]) end
      assert.are.same({"at last", "hello\n"}, {list[1].body, list[3].body})
      assert.truthy(list[4].body:find("^PUT"))
      assert.are.same({500, false, nil}, {list[6].status, list[6].ok, list[6].error})
      for _, i in ipairs {2, 5, 7} do
        assert.is_false(list[i].ok)
        assert.is_nil(list[i].status)
        assert.are.equal("string", type(list[i].error))
        raises(list[i].error:sub(1, 8), function () list[i]:raise_for_status() end)
      end
      assert.are.same({}, http.get_many({}))
    end)

    it("keeps to its limits", function ()
      local function most(n, opts)
        local urls = {}
        for i = 1, n do urls[i] = bad.url .. "/gate?0.05" end
        for _, r in ipairs(http.get_many(urls, opts)) do
          assert.are.equal(200, r.status, r.error)
        end
        return tonumber(http.get(bad.url .. "/most").body)
      end
      assert.are.equal(1, most(4, {concurrency = 1}))
      assert.are.equal(3, most(12, {concurrency = 3}))
      assert.are.equal(2, most(8, {concurrency = 6, per_host = 2}))
      assert.are.equal(20, most(20, {concurrency = 20}))
      assert.are.equal(8, most(20))
    end)

    it("keeps to them with redirects", function ()
      local urls = {}
      for i = 1, 6 do urls[i] = bad.url .. "/302?/gate%3f0.05" end
      for _, r in ipairs(http.get_many(urls, {concurrency = 2})) do assert.is_true(r.ok) end
      assert.are.equal("2", http.get(bad.url .. "/most").body)
    end)

    it("has one time for all, and one for each", function ()
      local urls = {}
      for i = 1, 6 do urls[i] = bad.url .. "/slow?5" end
      urls[7] = bad.url .. "/echo"
      local seconds, list = took(http.get_many, urls, {timeout = 0.4, concurrency = 3})
      assert.is_true(seconds < 0.4 + helper.pace(1))
      for i = 1, 7 do assert.truthy(list[i].error:find("^timeout: GET")) end
      seconds, list = took(http.get_many, {{url = urls[1], timeout = 0.2}, urls[7]})
      assert.is_true(seconds < 0.2 + helper.pace(1))
      assert.truthy(list[1].error:find("^timeout"))
      assert.are.equal(200, list[2].status)
    end)

    it("may be used inside its own callback", function ()
      local inner = {}
      local urls = {bad.url .. "/slow?0.1", bad.url .. "/echo", bad.url .. "/json?1"}
      local list = http.get_many(urls, {
        on_done = function (i) inner[i] = http.get(bad.url .. "/json?" .. i).body end})
      assert.are.same({"1", "2", "3"}, inner)
      assert.are.same({"at last", "1"}, {list[1].body, list[3].body})
    end)

    it("ends by an error in its callback, and leaves nothing running", function ()
      raises("boom", http.get_many, {bad.url .. "/slow?30", bad.url .. "/echo"},
        {on_done = function () error("boom") end})
      assert.are.equal("1", http.get(bad.url .. "/json?1").body)
    end)

    it("keeps large bodies apart", function ()
      local urls = {}
      for i = 1, 24 do urls[i] = i % 3 == 0 and nginx.http .. "/n1" or nginx.http .. "/big" end
      local big = read(nginx.www .. "/big")
      for i, r in ipairs(http.get_many(urls, {concurrency = 5})) do
        assert.is_true(r.body == (i % 3 == 0 and "file 1" or big), "body " .. i)
      end
    end)

    it("tries again beside the others", function ()
      local urls = {bad.url .. "/flaky?beside,1,1", bad.url .. "/echo"}
      local seconds, list = took(http.get_many, urls, {retries = 1})
      assert.are.equal("try 2", list[1].body)
      assert.are.equal(200, list[2].status)
      assert.is_true(list[2].elapsed < 0.9 and seconds >= 0.9)
    end)
  end)

  describe("download", function ()
    it("gives the size and the response, and leaves only the file", function ()
      local bytes, r = http.download(nginx.http .. "/big", path_of("big"))
      assert.are.equal(3000000, bytes)
      assert.are.same({200, true, path_of("big"), 3000000}, {r.status, r.ok, r.path, r.bytes})
      assert.is_nil(r.body)
      assert.are.equal(read(nginx.www .. "/big"), read(path_of("big")))
      assert.are.equal("big ", left())
    end)

    it("replaces a file only by a whole one", function ()
      helper.write_file(path_of("f"), "old")
      refused(http.download(bad.url .. "/half", path_of("f")))
      assert.is_nil((http.download(bad.url .. "/status?404", path_of("f"))))
      assert.are.equal("old", read(path_of("f")))
      assert.are.equal("f ", left())
      assert.are.equal(6, (http.download(nginx.http .. "/hello.txt", path_of("f"))))
      assert.are.equal("hello\n", read(path_of("f")))
      assert.are.equal("f ", left())
    end)

    it("makes an empty file of an empty answer", function ()
      assert.are.equal(0, (http.download(bad.url .. "/json?", path_of("empty"))))
      assert.are.equal("", read(path_of("empty")))
    end)

    it("of an error status is nil, message, response, and no file", function ()
      local bytes, message, r = http.download(bad.url .. "/status?404", path_of("f"))
      refused(bytes, message, "GET http.*/status%?404: 404 Whatever")
      assert.are.same({404, false, "body of 404"}, {r.status, r.ok, r.body})
      assert.are.equal("", left())
      bytes, message, r = http.download(bad.url .. "/endless-error", path_of("f"))
      refused(bytes, message, "500 Broken")
      assert.is_true(#r.body <= 65536)
      bytes, message = http.download(bad.url .. "/302?/echo", path_of("f"), {redirects = 0})
      refused(bytes, message, "302 Found")
      assert.are.equal("", left())
    end)

    it("leaves nothing behind when it cannot be", function ()
      local big = nginx.http .. "/big"
      for _, case in ipairs {
        {"nonsense", path_of("f"), "bad URL"}, {"file:///etc/passwd", path_of("f"), "only http"},
        {"http://127.0.0.1:1/", path_of("f"), "refused"},
        {bad.url .. "/half", path_of("f"), "/half"},
        {bad.url .. "/302?file:///etc/passwd", path_of("f"), "redirect refused"},
        {bad.url .. "/garbage", path_of("f"), "garbage"}, {bad.url .. "/loop", path_of("f"), "10"},
        {big, path_of("no/such/f"), "cannot write .*No such file"}, {big, "", "not a file name"},
        {big, "/dev/full", "No space left"}, {big, path_of("f\0g"), "not a file name"},
        {big, path_of("f"), "max_bytes", {max_bytes = 1000}},
        {bad.url .. "/endless", path_of("f"), "max_bytes", {max_bytes = 1000000}},
        {bad.url .. "/drip", path_of("f"), "timeout", {timeout = 0.3}},
        {big, path_of("f"), "sha256 is", {sha256 = ("0"):rep(64)}},
      } do
        local bytes, message = http.download(case[1], case[2], case[4])
        refused(bytes, message, case[3])
        assert.are.equal("", left())
      end
    end)

    it("tells a full disk, and leaves nothing there", function ()
      local mount = path_of("small")
      sh(("mkdir '%s' && mount -t tmpfs -o size=1m none '%s'"):format(mount, mount))
      if sh("mount"):find(mount, 1, true) == nil then
        return pending("a small tmpfs cannot be mounted here")
      end
      local bytes, message = http.download(nginx.http .. "/big", mount .. "/f")
      local there = sh("ls -A " .. mount)
      sh("umount " .. mount)
      refused(bytes, message, "cannot write .*/f.part: No space left on device")
      assert.are.equal("", there)
    end)

    it("checks sha256 when asked to", function ()
      local sum = sh("sha256sum " .. nginx.www .. "/bigger"):match("^%x+")
      for _, digits in ipairs {sum, sum:upper()} do
        local bytes = http.download(nginx.http .. "/bigger", path_of("f"), {sha256 = digits})
        assert.are.equal(9000000, bytes)
      end
      raises("64 hexadecimal digits", http.download, nginx.http .. "/big", path_of("g"),
        {sha256 = "1"})
    end)

    it("writes to a device as it is", function ()
      assert.are.equal(3000000, (http.download(nginx.http .. "/big", "/dev/null")))
      assert.is_false(exists("/dev/null.part"))
    end)

    it("goes on where it broke off", function ()
      local whole = http.get(bad.url .. "/content?first").body
      refused(http.download(bad.url .. "/part?on,300000", path_of("f")))
      assert.are.equal("f.part f.part.meta ", left())
      assert.are.equal(300000, #read(path_of("f.part")))
      assert.are.equal(#whole, (http.download(bad.url .. "/part?on,300000", path_of("f"), {
        sha256 = core.sha256(whole)})))
      assert.are.equal(whole, read(path_of("f")))
      assert.are.equal("300000", http.get(bad.url .. "/from?on").body)
      assert.are.equal("f ", left())
    end)

    it("goes on within one call, when it may try again", function ()
      local whole = http.get(bad.url .. "/content?first").body
      local bytes = assert(http.download(bad.url .. "/part?again,100000", path_of("f"),
                                         {retries = 1}))
      assert.are.equal(#whole, bytes)
      assert.are.equal(whole, read(path_of("f")))
      assert.are.equal("100000", http.get(bad.url .. "/from?again").body)
    end)

    it("starts over when the file is another one by now", function ()
      local other = http.get(bad.url .. "/content?other").body
      for _, path in ipairs {"/part-changed?c,300000", "/part-liar?l,300000"} do
        refused(http.download(bad.url .. path, path_of("f")))
        assert.are.equal("f.part f.part.meta ", left())
        assert.are.equal(#other, (http.download(bad.url .. path, path_of("f"))))
        assert.are.equal(other, read(path_of("f")))
        assert.are.equal("f ", left())
        clean()
      end
    end)

    it("trusts no part that it cannot vouch for", function ()
      local whole = http.get(bad.url .. "/content?first").body
      local function begin(key)
        refused(http.download(bad.url .. "/part?" .. key .. ",300000", path_of("f")))
      end
      local function finish(key, why)
        local bytes = http.download(bad.url .. "/part?" .. key .. ",300000", path_of("f"))
        assert.are.equal(#whole, bytes, why)
        assert.are.equal(whole, read(path_of("f")), why)
        assert.are.equal("nil", http.get(bad.url .. "/from?" .. key).body, why)
      end
      helper.write_file(path_of("f.part"), "something of somebody else")
      http.get(bad.url .. "/part?m1,300000")
      finish("m1", "no meta file")
      begin("m2")
      helper.write_file(path_of("f.part.meta"), read(path_of("f.part.meta")):sub(1, -5))
      finish("m2", "a torn meta file")
      begin("m3")
      http.get(bad.url .. "/part?m4,300000")
      finish("m4", "the part of another URL")
      begin("m5")
      local size = #read(path_of("f.part"))
      helper.write_file(path_of("f.part"), ("x"):rep(#whole + 1))
      assert.is_true(size > 0)
      assert.are.equal(#whole, (http.download(bad.url .. "/part?m5,300000", path_of("f"))))
      refused(http.download(bad.url .. "/part-nonsense?m6,300000", path_of("g")))
      assert.are.equal(#whole, (http.download(bad.url .. "/part-nonsense?m6,300000", path_of("g"))))
      assert.are.equal(whole, read(path_of("g")))
    end)

    it("takes a range for a file only if one was asked for", function ()
      local bytes, message = http.download(bad.url .. "/unasked", path_of("f"))
      refused(bytes, message, "206 Partial Content")
      assert.are.equal("", left())
      assert.are.equal(4, (http.download(bad.url .. "/unasked", path_of("f"),
                                         {headers = {Range = "bytes=10-13"}})))
      assert.are.equal("part", read(path_of("f")))
    end)

    it("resumes nothing when told so", function ()
      refused(http.download(bad.url .. "/part?no,300000", path_of("f")))
      assert.truthy(http.download(bad.url .. "/part?no,300000", path_of("f"), {resume = false}))
      assert.are.equal("nil", http.get(bad.url .. "/from?no").body)
    end)

    it("goes on from nginx too, by ETag or by date", function ()
      for _, name in ipairs {"/slow/big", "/dated/big"} do
        refused(http.download(nginx.http .. name, path_of("f"), {timeout = 0.5}))
        assert.are.equal("f.part f.part.meta ", left())
        local had = #read(path_of("f.part"))
        assert.is_true(had > 0 and had < 3000000)
        local bytes, r = http.download(nginx.http .. name, path_of("f"), {timeout = 60})
        assert.are.equal(3000000, bytes, r)
        assert.are.equal(206, r.status)
        assert.are.equal(read(nginx.www .. "/big"), read(path_of("f")))
        clean()
      end
    end)

    it("follows no link and replaces no device or folder in place of its part", function ()
      helper.write_file(path_of("target"), "precious")
      sh(("ln -s target '%s'"):format(path_of("f.part")))
      refused(http.download(nginx.http .. "/big", path_of("f")))
      assert.are.equal("precious", read(path_of("target")))
      sh(("mkfifo '%s'"):format(path_of("fifo")))
      local bytes, message = http.download(nginx.http .. "/big", path_of("fifo"))
      refused(bytes, message, "Not a regular file")
    end)

    it("of one path is done by one at a time", function ()
      local list = http.download_many({{nginx.http .. "/slow/big", path_of("f")},
                                       {nginx.http .. "/hello.txt", path_of("f")}})
      assert.is_true(list[1].ok)
      assert.truthy(list[2].error:find("another download is writing it"))
      assert.are.equal(3000000, #read(path_of("f")))
    end)

    it("into a folder takes the server's name, made harmless", function ()
      local folder = path_of("")
      local function name(url)
        clean()
        local bytes, r = http.download(url, folder)
        assert(bytes, r)
        assert.are.equal(folder, r.path:sub(1, #folder))
        assert.are.equal(r.path:sub(#folder + 1) .. " ", left())
        return r.path:sub(#folder + 1)
      end
      assert.are.equal("hello.txt", name(nginx.http .. "/hello.txt"))
      local function disposition(value)
        return name(bad.url .. "/disposition?" .. value:gsub("[^%w]", function (c)
          return ("%%%02X"):format(c:byte())
        end))
      end
      assert.are.equal("a b.txt", disposition 'attachment; filename="a b.txt"')
      assert.are.equal("plain.txt", disposition "attachment; filename=plain.txt")
      assert.are.equal("na\195\175ve.txt",
        disposition "attachment; filename=x; filename*=UTF-8''na%C3%AFve.txt")
      for _, evil in ipairs {"../../evil", "/etc/evil", "..\\..\\evil", "a/../../evil",
                             "....//evil", ".evil", "~/evil", "%2e%2e%2fevil"} do
        assert.truthy(disposition('attachment; filename="' .. evil .. '"'):find("evil"))
        assert.truthy(disposition("attachment; filename*=utf-8''" .. evil:gsub("%W", function (c)
          return ("%%%02X"):format(c:byte())
        end)):find("evil"))
      end
      for _, nothing in ipairs {"..", ".", "/", "../", ""} do
        assert.are.equal("disposition", disposition('attachment; filename="' .. nothing .. '"'))
      end
      assert.is_true(#disposition('attachment; filename="' .. ("n"):rep(1000) .. '.txt"') <= 200)
    end)

    it("into a folder replaces nothing by a name that the server chose", function ()
      helper.write_file(path_of("theirs"), "mine")
      local bytes, message = http.download(bad.url .. "/disposition?filename=theirs", path_of(""))
      refused(bytes, message, "File exists")
      assert.are.equal("mine", read(path_of("theirs")))
      assert.are.equal("theirs ", left())
    end)

    it("of a large file needs little memory", function ()
      local run = helper.run_script(([[
        local http = require "conc.http"
        print((assert(http.download("%s/huge", "%s"))))
        for line in io.lines("/proc/self/status") do
          local kb = line:match("VmHWM:%%s*(%%d+)")
          if kb then print(kb) end
        end]]):format(nginx.http, path_of("huge")), {timeout = 100})
      local bytes, kb = run.out:match("^(%d+)\n(%d+)")
      assert.are.equal("1073741824", bytes, run.err)
      if not helper.sanitizer then assert.is_true(tonumber(kb) < 20000, kb .. " KB") end
    end)
  end)

  describe("download_many", function ()
    it("gives responses in order, with path and bytes", function ()
      local list, done = {}, 0
      for i = 1, 40 do list[i] = {nginx.http .. "/n" .. i, path_of("n" .. i)} end
      list[41] = {url = nginx.http .. "/nope", path = path_of("nope")}
      list[42] = {nginx.http .. "/big", path_of("big"), sha256 = ("0"):rep(64)}
      list[43] = {"nonsense", path_of("nonsense")}
      local responses = http.download_many(list, {on_done = function () done = done + 1 end})
      assert.are.equal(43, #responses)
      assert.are.equal(43, done)
      for i = 1, 40 do
        assert.are.same({true, 200, path_of("n" .. i), #("file " .. i)},
          {responses[i].ok, responses[i].status, responses[i].path, responses[i].bytes})
        assert.are.equal("file " .. i, read(path_of("n" .. i)))
      end
      for i, pattern in pairs {[41] = "404 Not Found", [42] = "sha256", [43] = "bad URL"} do
        assert.is_false(responses[i].ok)
        assert.truthy(responses[i].error:find(pattern))
      end
      assert.are.equal("40\n", sh("ls -A " .. dir .. "/out | wc -l"))
      raises("entry 2: {url, path} expected", http.download_many, {list[1], {"http://x/"}})
    end)

    it("has more entries than there may be open files", function ()
      local run = helper.run_script(([[
        local http = require "conc.http"
        local list = {}
        for i = 1, 300 do list[i] = {"%s/hello.txt", "%s/f" .. i} end
        local n = 0
        for _, r in ipairs(http.download_many(list)) do n = n + (r.bytes or error(r.error)) end
        print(n)]]):format(nginx.http, path_of("")), {
          command = {"sh", "-c", 'ulimit -n 64; exec "$0" "$@"', helper.lua}})
      assert.are.equal("1800\n", run.out .. run.err)
    end)
  end)

  describe("progress", function ()
    it("is told to a function", function ()
      local states = {}
      assert(http.download(nginx.http .. "/slow/big", path_of("f"), {
        progress = function (state) states[#states + 1] = state end}))
      assert.is_true(#states > 3)
      local last = 0
      for _, state in ipairs(states) do
        assert.is_true(state.bytes >= last and state.bytes <= 3000000)
        assert.are.equal(1, state.total)
        last = state.bytes
      end
      assert.are.equal(3000000, states[#states].expected)
    end)

    it("is a line on a terminal, and nothing elsewhere", function ()
      local script = helper.write_file(path_of("s.lua"), ([[
        local http = require "conc.http"
        local list = {}
        for i = 1, 3 do list[i] = {"%s/slow/big", "%s/p" .. i} end
        assert(http.download(list[1][1], list[1][2], {progress = true}))
        http.download_many(list, {progress = true})]]):format(nginx.http, path_of("")))
      local run = helper.run_script(script)
      assert.are.equal("", run.out .. run.err)
      local typed = sh(("script -qec '%s %s' /dev/null </dev/null"):format(helper.lua, script))
      if typed == "" then return pending("there is no program 'script' here") end
      assert.truthy(typed:find("\r%[#*%.*%] +%d+%%  [%d.]+ %u?B  [%d.]+ %u?B/s"))
      assert.truthy(typed:find("\r%d/3 %["))
      assert.truthy(typed:find(" left"))
    end)
  end)

  describe("a session", function ()
    it("keeps cookies, headers, options and connections", function ()
      local s <close> = http.session{headers = {["X-Mine"] = "1"}, user_agent = "me",
                                     auth = {"ann", "secret"}}
      assert(s:get(bad.url .. "/cookie?a=1"))
      assert(s:get(bad.url .. "/cookie-and-go?b=2"))
      local echo = s:get(bad.url .. "/echo", {headers = {["x-mine"] = "2", ["X-Too"] = "3"}}).body
      assert.truthy(echo:find("Cookie: [ab]=[12]; [ab]=[12]\n"))
      assert.truthy(echo:find("x%-mine: 2\n") and echo:find("X%-Too: 3\n"))
      assert.truthy(echo:find("User%-Agent: me\n"))
      assert.truthy(echo:find("Authorization: Basic YW5uOnNlY3JldA==\n"))
      assert.truthy(s:get(bad.url .. "/echo").body:find("X%-Mine: 1\n"))
      assert.are.equal("the secret\n", s:get(nginx.http .. "/private/secret.txt").body)
      local first = s:get(bad.url .. "/connection").body
      assert.are.equal(first, s:get(bad.url .. "/connection").body)
      assert.are_not.equal(first, http.get(bad.url .. "/connection").body)
      assert.falsy(http.get(bad.url .. "/echo").body:find("Cookie"))
      assert.are.equal(2, #s:get_many({bad.url .. "/echo", bad.url .. "/echo"}))
      assert.are.equal(6, (s:download(nginx.http .. "/hello.txt", path_of("f"))))
      assert.truthy(tostring(s):find("session %(2 cookies%)"))
    end)

    it("hands its cookies on", function ()
      local s <close> = http.session()
      assert(s:get(bad.url .. "/cookie?a=1"))
      local cookies = s:cookies()
      assert.are.same({"a", "1", "127.0.0.1", "/"},
        {cookies[1].name, cookies[1].value, cookies[1].domain, cookies[1].path})
      local other <close> = http.session{cookies = cookies}
      assert.truthy(other:get(bad.url .. "/echo").body:find("Cookie: a=1\n"))
      raises("option 'cookies'", http.session, {cookies = {{name = "a\tb"}}})
      raises("unknown option 'cookie'; did you mean 'cookies'", http.session, {cookie = {}})
    end)

    it("gives cookies to nobody else", function ()
      local s <close> = http.session()
      assert(s:get(bad.url .. "/cookie?a=1"))
      local localhost = bad.url:gsub("127.0.0.1", "localhost")
      assert.falsy(s:get(localhost .. "/echo").body:find("Cookie"))
      assert.falsy(s:get(bad.url .. "/302?" .. localhost .. "/echo").body:find("Cookie"))
    end)

    it("with a base keeps its credentials for that host", function ()
      local s <close> = http.session{base = bad.url .. "/x/", bearer = "s3cret",
                                     headers = {["X-Key"] = "s3cret"}}
      assert.truthy(s:get("/echo").body:find("Bearer s3cret"))
      assert.are.equal("no /x/y", s:get("y").body)
      assert.falsy(s:get(bad.other .. "/echo").body:find("s3cret"))
      raises("option 'base'", http.session, {base = "ftp://x/"})
    end)

    it("stays in its thread", function ()
      local s <close> = http.session()
      raises("cannot send", require("conc").thread, function () return s end)
    end)

    it("is closed at the end", function ()
      local s = http.session()
      assert(s:get(bad.url .. "/echo"))
      s:close()
      s:close()
      raises("session is closed", s.get, s, bad.url .. "/echo")
      assert.truthy(tostring(s):find("closed"))
      local t = http.session()
      local list = t:get_many({bad.url .. "/slow?30", bad.url .. "/echo"},
        {on_done = function () t:close() end})
      assert.truthy(list[1].error:find("session was closed"))
      assert.are.equal(200, list[2].status)
    end)
  end)

  describe("a wait", function ()
    local slow = [[
      local http = require "conc.http"
      io.stdout:setvbuf("no")
      print("ready")
      %s]]

    it("ends at once by Ctrl-C, with and without the core", function ()
      for _, before in ipairs {"", 'require "conc"'} do
        for _, call in ipairs {'http.get("%s/slow?30")', 'http.get_many{"%s/drip", "%s/stall"}',
                               'http.download("%s/stall", "%s")',
                               'http.get("%s/flaky?C,9,30", {retries = 9})',
                               'coroutine.wrap(function () http.get("%s/slow?30") end)()'} do
          local code = before .. slow:format(call:format(bad.url, call:find("download")
            and path_of("f") or bad.url, bad.url))
          local run = helper.interrupt_script(code)
          assert.truthy(run.err:find("interrupted!"), call .. ": " .. run.err)
          local took_text = call .. " took " .. tostring(run.after)
          assert.is_true(run.after < 0.1 + helper.pace(0.4), took_text)
          assert.are.equal("", left())
        end
      end
    end)

    it("leaves all usable after Ctrl-C", function ()
      local run = helper.interrupt_script(slow:format(([[
        print(pcall(http.get, "%s/slow?30"))
        print(http.get("%s/json?1").body)]]):format(bad.url, bad.url)))
      assert.truthy(run.out:find("false\t.*interrupted!\n1\n"), run.out .. run.err)
    end)

    it("ends when its thread is cancelled", function ()
      local conc = require "conc"
      for _, name in ipairs {"get", "download"} do
        local url, path = bad.url .. "/stall", path_of("f")
        local t = conc.thread(function ()
          return http[name](url, name == "download" and path or nil)
        end)
        conc.sleep(0.2)
        local seconds = took(function ()
          t:cancel()
          assert.is_true(t:join(helper.soon))
        end)
        assert.are.equal("cancelled", t:state())
        assert.is_true(seconds < 0.1 + helper.pace(0.4), "took " .. seconds)
        assert.are.equal("", left())
      end
    end)

    it("does not hold up the end of the program", function ()
      local run = helper.run_script(([[
        local conc = require "conc"
        conc.thread({daemon = true}, function ()
          require("conc.http").get("%s/slow?30")
        end)
        conc.sleep(0.2)]]):format(bad.url))
      assert.are.equal(0, run.code)
      assert.is_true(run.seconds < 0.2 + helper.pace(1.5), "took " .. run.seconds)
    end)
  end)

  describe("submit", function ()
    local conc = require "conc"

    -- The pool is kept, with its workers and what they run: all there before tests count.
    setup(function ()
      local busy = {}
      for i = 1, 8 do busy[i] = http.submit(bad.url .. "/slow?0.3") end
      conc.wait(busy)
      local s <close> = http.session()
      s:submit("nonsense:"):join(helper.soon)
    end)

    it("gives futures of any call", function ()
      local futures = {
        http.submit(bad.url .. "/json?1"), http.submit("get", bad.url .. "/json?2"),
        http.submit{url = bad.url .. "/echo", method = "PUT"},
        http.submit("download", nginx.http .. "/hello.txt", path_of("f")),
        http.submit("get", "nonsense"),
      }
      local n = 0
      for f in conc.as_completed(futures, helper.soon) do n = n + (f:done() and 1 or 0) end
      assert.are.equal(5, n)
      local r = futures[1]:result()
      assert.are.same({"1", 200, "1"}, {r.body, r.status, r.headers["content-length"]})
      assert.are.equal(1, r:json())
      assert.are.equal("2", futures[2]:result().body)
      assert.truthy(futures[3]:result().body:find("^PUT"))
      assert.are.equal(6, (futures[4]:result()))
      refused(futures[5]:result())
      raises("no call 'gte' in conc.http; did you mean 'get'", http.submit, "gte")
      assert.are.equal(futures[1], (conc.select({futures[1]}, helper.soon)))
    end)

    it("of a session takes its cookies along", function ()
      local s <close> = http.session{headers = {["X-Mine"] = "1"}}
      assert(s:get(bad.url .. "/cookie?a=1"))
      local r = s:submit("get", bad.url .. "/echo"):result(helper.soon)
      assert.truthy(r.body:find("X%-Mine: 1\n") and r.body:find("Cookie: a=1\n"))
    end)
  end)

  -- The programs of docs/http.md, with our servers in place of those that they name.
  it("does what docs/http.md shows", function ()
    local blocks = 0
    for block in read("docs/http.md"):gmatch("\n```lua\n(.-\n)```") do
      blocks = blocks + 1
      local program = block:gsub("https://example%.org", nginx.http)
        :gsub("https://api%.example%.org", bad.url)
      helper.prints_what_it_says(block, helper.run_script(program))
    end
    assert.is_true(blocks >= 8)
  end)

  it("hashes as FIPS 180-4 says", function ()
    local vectors = {
      [""] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      ["abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"] =
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
      [("a"):rep(1000000)] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
    }
    for text, digest in pairs(vectors) do assert.are.equal(digest, core.sha256(text)) end
    for n = 50, 70 do
      local path = helper.write_file(path_of("h"), ("q"):rep(n))
      assert.are.equal(sh("sha256sum " .. path):match("^%x+"), core.sha256(("q"):rep(n)))
    end
  end)
end)
