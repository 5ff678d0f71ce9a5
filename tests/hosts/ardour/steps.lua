-- What the test of Ardour does inside it: see tests/src/ardour.rs. Ardour's own scripting calls this file.
local steps = {}

-- Answers as soon as the project is open.
function steps.name()
  return Session:name()
end

-- Where the transport is, in samples.
function steps.position()
  return Session:transport_sample()
end

-- Makes a stereo track with the plugin in front of the fader and a recording on it.
function steps.insert(track_name, plugin_id, preset, recording)
  local tracks = Session:new_audio_track(
    2, 2, nil, 1, track_name, ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true)
  local track = tracks:front()
  local plugin = ARDOUR.LuaAPI.new_plugin(Session, plugin_id, ARDOUR.PluginType.VST3, preset)
  assert(not plugin:isnil(), "Ardour does not know the plugin " .. plugin_id)
  assert(track:add_processor_by_index(plugin, 0, nil, true) == 0, "the plugin can't be inserted")
  local files = C.StringVector()
  files:push_back(recording)
  Editor:do_import(
    files, Editing.ImportDistinctFiles, Editing.ImportToTrack, ARDOUR.SrcQuality.SrcBest,
    ARDOUR.MidiTrackNameSource.SMFTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore,
    Temporal.timepos_t(0), ARDOUR.PluginInfo(), track:to_track(), false)
  local loaded = plugin:to_insert():plugin(0):last_preset()
  return string.format("%s, preset %s, %d region on the track", plugin:display_name(), loaded.label,
    track:to_track():playlist():region_list():size())
end

return steps
