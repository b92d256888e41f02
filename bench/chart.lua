-- A plot as SVG, both axes logarithmic:
--   chart {title =, x =, y =, points = {{x =, y =, low =, high =}, ...}} -> text
-- A line through the points, and for each a bar from its lowest to its highest.
local width, height = 640, 360
local left, right, top, bottom = 80, 20, 40, 50

local function powers(low, high)
  return math.floor(math.log(low, 10) + 1e-9), math.ceil(math.log(high, 10) - 1e-9)
end

local function short(nanoseconds)
  for _, unit in ipairs { { 1e9, "s" }, { 1e6, "ms" }, { 1e3, "µs" } } do
    if nanoseconds >= unit[1] then return ("%.3g %s"):format(nanoseconds / unit[1], unit[2]) end
  end
  return ("%.3g ns"):format(nanoseconds)
end

local function count(x)
  local text = ("%d"):format(x):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (text:gsub("^,", ""))
end

return function (plot)
  local lines = {}
  local function add(form, ...) lines[#lines + 1] = form:format(...) end
  local low, high, x_low, x_high = math.huge, 0, math.huge, 0
  for _, p in ipairs(plot.points) do
    low, high = math.min(low, p.low), math.max(high, p.high)
    x_low, x_high = math.min(x_low, p.x), math.max(x_high, p.x)
  end
  local x0, x1 = powers(x_low, x_high)
  local y0, y1 = powers(low, high)
  if y1 == y0 then y1 = y0 + 1 end
  local function px(x)
    return left + (math.log(x, 10) - x0) / (x1 - x0) * (width - left - right)
  end
  local function py(y)
    return height - bottom - (math.log(y, 10) - y0) / (y1 - y0) * (height - top - bottom)
  end

  add('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d"',
    width, height, width, height)
  add(' font-family="sans-serif" font-size="12">')
  add('<rect width="%d" height="%d" fill="white"/>', width, height)
  add('<text x="%d" y="22" font-size="15">%s</text>', left, plot.title)
  for i = x0, x1 do
    local x = px(10.0 ^ i)
    add('<path d="M%.1f %d V%d" stroke="#ddd"/>', x, top, height - bottom)
    add('<text x="%.1f" y="%d" text-anchor="middle">%s</text>', x, height - bottom + 18,
      count(10 ^ i // 1))
  end
  for i = y0, y1 do
    local y = py(10.0 ^ i)
    add('<path d="M%d %.1f H%d" stroke="#ddd"/>', left, y, width - right)
    add('<text x="%d" y="%.1f" text-anchor="end">%s</text>', left - 6, y + 4, short(10.0 ^ i))
  end
  add('<text x="%d" y="%d" text-anchor="middle">%s</text>', (left + width - right) // 2,
    height - 10, plot.x)
  add('<text transform="translate(16 %d) rotate(-90)" text-anchor="middle">%s</text>',
    (top + height - bottom) // 2, plot.y)
  local path = {}
  for i, p in ipairs(plot.points) do
    path[i] = ("%s%.1f %.1f"):format(i == 1 and "M" or "L", px(p.x), py(p.y))
    add('<path d="M%.1f %.1f V%.1f" stroke="#1f5fa8" stroke-width="2" opacity="0.4"/>', px(p.x),
      py(p.low), py(p.high))
    add('<circle cx="%.1f" cy="%.1f" r="3.5" fill="#1f5fa8"><title>%s: %s</title></circle>',
      px(p.x), py(p.y), count(p.x), short(p.y))
  end
  add('<path d="%s" fill="none" stroke="#1f5fa8" stroke-width="1.5"/>', table.concat(path, " "))
  add("</svg>\n")
  return table.concat(lines, "\n")
end
