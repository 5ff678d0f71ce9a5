-- Lies in Ardour's list of scripts as «Action 1»: calls the file that TOCCO_STEP names, once, and leaves its answer in
-- TOCCO_ANSWER.
local _ = ...
return function()
  local step = os.getenv("TOCCO_STEP")
  local file = io.open(step)
  if not file then
    return
  end
  local chunk, why = load(file:read("a"))
  file:close()
  os.remove(step)
  local went_well, answer = false, why
  if chunk then
    went_well, answer = pcall(chunk)
  end
  local path = os.getenv("TOCCO_ANSWER")
  file = io.open(path .. ".part", "w")
  file:write(went_well and "ok " or "failed ", tostring(answer))
  file:close()
  os.rename(path .. ".part", path)
end
