{
	"patcher": {
		"fileversion": 1,
		"appversion": {
			"major": 8,
			"minor": 5,
			"revision": 0,
			"architecture": "x64",
			"modernui": 1
		},
		"classnamespace": "box",
		"rect": [
			80,
			100,
			780,
			460
		],
		"bglocked": 0,
		"openinpresentation": 0,
		"default_fontsize": 12.0,
		"default_fontface": 0,
		"default_fontname": "Arial",
		"gridonopen": 1,
		"gridsize": [
			8.0,
			8.0
		],
		"boxes": [
			{
				"box": {
					"id": "title",
					"maxclass": "comment",
					"numinlets": 1,
					"numoutlets": 0,
					"patching_rect": [
						24,
						16,
						640,
						20
					],
					"text": "Tocco sends OSC to UDP port 5005 of this machine. Change the port here and on Tocco's panel alike."
				}
			},
			{
				"box": {
					"id": "udp",
					"maxclass": "newobj",
					"numinlets": 1,
					"numoutlets": 1,
					"patching_rect": [
						24,
						48,
						110,
						22
					],
					"outlettype": [
						""
					],
					"text": "udpreceive 5005"
				}
			},
			{
				"box": {
					"id": "route",
					"maxclass": "newobj",
					"numinlets": 1,
					"numoutlets": 7,
					"patching_rect": [
						24,
						88,
						700,
						22
					],
					"outlettype": [
						"",
						"",
						"",
						"",
						"",
						"",
						""
					],
					"text": "route /class /tocco/Tocco/event /tocco/Tocco/probs /tocco/Tocco/classes /tocco/Tocco/active /tocco/Tocco/status"
				}
			},
			{
				"box": {
					"id": "hint",
					"maxclass": "comment",
					"numinlets": 1,
					"numoutlets": 0,
					"patching_rect": [
						24,
						112,
						700,
						34
					],
					"text": "«Tocco» is the name of the instance, or of its track where the host tells it (other characters than letters, digits, - and _ become _): change the route to the name that the panel shows.",
					"linecount": 2
				}
			},
			{
				"box": {
					"id": "class",
					"maxclass": "number",
					"numinlets": 1,
					"numoutlets": 2,
					"patching_rect": [
						24,
						170,
						60,
						22
					],
					"outlettype": [
						"",
						"bang"
					]
				}
			},
			{
				"box": {
					"id": "class_c",
					"maxclass": "comment",
					"numinlets": 1,
					"numoutlets": 0,
					"patching_rect": [
						24,
						196,
						90,
						34
					],
					"text": "class index, at every hop",
					"linecount": 2
				}
			},
			{
				"box": {
					"id": "unpack",
					"maxclass": "newobj",
					"numinlets": 1,
					"numoutlets": 4,
					"patching_rect": [
						130,
						170,
						150,
						22
					],
					"outlettype": [
						"",
						"float",
						"float",
						"int"
					],
					"text": "unpack s 0. 0. 0"
				}
			},
			{
				"box": {
					"id": "ev_class",
					"maxclass": "message",
					"numinlets": 2,
					"numoutlets": 1,
					"patching_rect": [
						130,
						214,
						100,
						22
					],
					"outlettype": [
						""
					],
					"text": ""
				}
			},
			{
				"box": {
					"id": "ev_conf",
					"maxclass": "flonum",
					"numinlets": 1,
					"numoutlets": 2,
					"patching_rect": [
						240,
						214,
						70,
						22
					],
					"outlettype": [
						"",
						"bang"
					]
				}
			},
			{
				"box": {
					"id": "ev_time",
					"maxclass": "flonum",
					"numinlets": 1,
					"numoutlets": 2,
					"patching_rect": [
						320,
						214,
						80,
						22
					],
					"outlettype": [
						"",
						"bang"
					]
				}
			},
			{
				"box": {
					"id": "ev_index",
					"maxclass": "number",
					"numinlets": 1,
					"numoutlets": 2,
					"patching_rect": [
						410,
						214,
						50,
						22
					],
					"outlettype": [
						"",
						"bang"
					]
				}
			},
			{
				"box": {
					"id": "ev_c",
					"maxclass": "comment",
					"numinlets": 1,
					"numoutlets": 0,
					"patching_rect": [
						130,
						240,
						330,
						20
					],
					"text": "change of decision: class, confidence, seconds, index"
				}
			},
			{
				"box": {
					"id": "probs",
					"maxclass": "multislider",
					"numinlets": 1,
					"numoutlets": 2,
					"patching_rect": [
						490,
						170,
						120,
						64
					],
					"outlettype": [
						"",
						""
					],
					"size": 3,
					"setminmax": [
						0.0,
						1.0
					]
				}
			},
			{
				"box": {
					"id": "probs_c",
					"maxclass": "comment",
					"numinlets": 1,
					"numoutlets": 0,
					"patching_rect": [
						490,
						240,
						150,
						20
					],
					"text": "probability of each class"
				}
			},
			{
				"box": {
					"id": "fit",
					"maxclass": "newobj",
					"numinlets": 2,
					"numoutlets": 2,
					"patching_rect": [
						630,
						170,
						110,
						22
					],
					"outlettype": [
						"",
						""
					],
					"text": "zl.len"
				}
			},
			{
				"box": {
					"id": "size",
					"maxclass": "newobj",
					"numinlets": 1,
					"numoutlets": 1,
					"patching_rect": [
						630,
						200,
						90,
						22
					],
					"outlettype": [
						""
					],
					"text": "prepend size"
				}
			},
			{
				"box": {
					"id": "set_classes",
					"maxclass": "newobj",
					"numinlets": 1,
					"numoutlets": 1,
					"patching_rect": [
						130,
						280,
						90,
						22
					],
					"outlettype": [
						""
					],
					"text": "prepend set"
				}
			},
			{
				"box": {
					"id": "show_classes",
					"maxclass": "message",
					"numinlets": 2,
					"numoutlets": 1,
					"patching_rect": [
						230,
						280,
						380,
						22
					],
					"outlettype": [
						""
					],
					"text": ""
				}
			},
			{
				"box": {
					"id": "c_classes",
					"maxclass": "comment",
					"numinlets": 1,
					"numoutlets": 0,
					"patching_rect": [
						24,
						280,
						100,
						20
					],
					"text": "classes"
				}
			},
			{
				"box": {
					"id": "set_active",
					"maxclass": "newobj",
					"numinlets": 1,
					"numoutlets": 1,
					"patching_rect": [
						130,
						320,
						90,
						22
					],
					"outlettype": [
						""
					],
					"text": "prepend set"
				}
			},
			{
				"box": {
					"id": "show_active",
					"maxclass": "message",
					"numinlets": 2,
					"numoutlets": 1,
					"patching_rect": [
						230,
						320,
						380,
						22
					],
					"outlettype": [
						""
					],
					"text": ""
				}
			},
			{
				"box": {
					"id": "c_active",
					"maxclass": "comment",
					"numinlets": 1,
					"numoutlets": 0,
					"patching_rect": [
						24,
						320,
						100,
						20
					],
					"text": "active"
				}
			},
			{
				"box": {
					"id": "set_status",
					"maxclass": "newobj",
					"numinlets": 1,
					"numoutlets": 1,
					"patching_rect": [
						130,
						360,
						90,
						22
					],
					"outlettype": [
						""
					],
					"text": "prepend set"
				}
			},
			{
				"box": {
					"id": "show_status",
					"maxclass": "message",
					"numinlets": 2,
					"numoutlets": 1,
					"patching_rect": [
						230,
						360,
						380,
						22
					],
					"outlettype": [
						""
					],
					"text": ""
				}
			},
			{
				"box": {
					"id": "c_status",
					"maxclass": "comment",
					"numinlets": 1,
					"numoutlets": 0,
					"patching_rect": [
						24,
						360,
						100,
						20
					],
					"text": "status"
				}
			},
			{
				"box": {
					"id": "set_ev",
					"maxclass": "newobj",
					"numinlets": 1,
					"numoutlets": 1,
					"patching_rect": [
						130,
						192,
						90,
						20
					],
					"outlettype": [
						""
					],
					"text": "prepend set"
				}
			},
			{
				"box": {
					"id": "status_c",
					"maxclass": "comment",
					"numinlets": 1,
					"numoutlets": 0,
					"patching_rect": [
						230,
						386,
						400,
						20
					],
					"text": "status: mode, latency in ms, load (share of a core), late windows, why this mode"
				}
			}
		],
		"lines": [
			{
				"patchline": {
					"source": [
						"route",
						3
					],
					"destination": [
						"set_classes",
						0
					]
				}
			},
			{
				"patchline": {
					"source": [
						"set_classes",
						0
					],
					"destination": [
						"show_classes",
						0
					]
				}
			},
			{
				"patchline": {
					"source": [
						"route",
						4
					],
					"destination": [
						"set_active",
						0
					]
				}
			},
			{
				"patchline": {
					"source": [
						"set_active",
						0
					],
					"destination": [
						"show_active",
						0
					]
				}
			},
			{
				"patchline": {
					"source": [
						"route",
						5
					],
					"destination": [
						"set_status",
						0
					]
				}
			},
			{
				"patchline": {
					"source": [
						"set_status",
						0
					],
					"destination": [
						"show_status",
						0
					]
				}
			},
			{
				"patchline": {
					"source": [
						"udp",
						0
					],
					"destination": [
						"route",
						0
					]
				}
			},
			{
				"patchline": {
					"source": [
						"route",
						0
					],
					"destination": [
						"class",
						0
					]
				}
			},
			{
				"patchline": {
					"source": [
						"route",
						1
					],
					"destination": [
						"unpack",
						0
					]
				}
			},
			{
				"patchline": {
					"source": [
						"unpack",
						0
					],
					"destination": [
						"set_ev",
						0
					]
				}
			},
			{
				"patchline": {
					"source": [
						"set_ev",
						0
					],
					"destination": [
						"ev_class",
						0
					]
				}
			},
			{
				"patchline": {
					"source": [
						"unpack",
						1
					],
					"destination": [
						"ev_conf",
						0
					]
				}
			},
			{
				"patchline": {
					"source": [
						"unpack",
						2
					],
					"destination": [
						"ev_time",
						0
					]
				}
			},
			{
				"patchline": {
					"source": [
						"unpack",
						3
					],
					"destination": [
						"ev_index",
						0
					]
				}
			},
			{
				"patchline": {
					"source": [
						"route",
						2
					],
					"destination": [
						"fit",
						0
					]
				}
			},
			{
				"patchline": {
					"source": [
						"fit",
						0
					],
					"destination": [
						"size",
						0
					]
				}
			},
			{
				"patchline": {
					"source": [
						"size",
						0
					],
					"destination": [
						"probs",
						0
					]
				}
			},
			{
				"patchline": {
					"source": [
						"route",
						2
					],
					"destination": [
						"probs",
						0
					]
				}
			}
		]
	}
}
