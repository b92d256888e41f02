-- Run spec files in this process, as 'make test' does for each of them:
--   lua5.4 spec/one.lua spec/lock_spec.lua [options of busted]
require "busted.runner" { standalone = false, output = "spec/report.lua" }
