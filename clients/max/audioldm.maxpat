{
 "patcher": {
  "fileversion": 1,
  "appversion": {
   "major": 8,
   "minor": 5,
   "revision": 0,
   "architecture": "x64"
  },
  "classnamespace": "box",
  "rect": [
   80.0,
   80.0,
   940.0,
   640.0
  ],
  "boxes": [
   {
    "box": {
     "id": "obj-1",
     "numinlets": 1,
     "numoutlets": 0,
     "maxclass": "comment",
     "text": "AudioLDM: start audioldm-daw, write a prompt, press return",
     "outlettype": [],
     "patching_rect": [
      20.0,
      10.0,
      368.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-2",
     "numinlets": 1,
     "numoutlets": 0,
     "maxclass": "newobj",
     "text": "udpsend 127.0.0.1 9536",
     "outlettype": [],
     "patching_rect": [
      20.0,
      330.0,
      174.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-3",
     "numinlets": 1,
     "numoutlets": 4,
     "maxclass": "textedit",
     "keymode": 1,
     "outputmode": 1,
     "outlettype": [
      "",
      "",
      "",
      ""
     ],
     "patching_rect": [
      20.0,
      35.0,
      300.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-4",
     "numinlets": 1,
     "numoutlets": 2,
     "maxclass": "newobj",
     "text": "route text",
     "outlettype": [
      "",
      ""
     ],
     "patching_rect": [
      20.0,
      65.0,
      90.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-5",
     "numinlets": 1,
     "numoutlets": 1,
     "maxclass": "newobj",
     "text": "tosymbol",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      20.0,
      95.0,
      76.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-6",
     "numinlets": 1,
     "numoutlets": 2,
     "maxclass": "newobj",
     "text": "t b s",
     "outlettype": [
      "",
      ""
     ],
     "patching_rect": [
      20.0,
      125.0,
      55.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-7",
     "numinlets": 2,
     "numoutlets": 1,
     "maxclass": "newobj",
     "text": "pack s s",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      20.0,
      245.0,
      76.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-8",
     "numinlets": 1,
     "numoutlets": 2,
     "maxclass": "newobj",
     "text": "t b b",
     "outlettype": [
      "",
      ""
     ],
     "patching_rect": [
      20.0,
      155.0,
      55.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-9",
     "numinlets": 2,
     "numoutlets": 1,
     "maxclass": "newobj",
     "text": "random 1000000",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      20.0,
      185.0,
      118.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-10",
     "numinlets": 1,
     "numoutlets": 1,
     "maxclass": "newobj",
     "text": "cpuclock",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      140.0,
      185.0,
      76.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-11",
     "numinlets": 2,
     "numoutlets": 1,
     "maxclass": "newobj",
     "text": "sprintf symout max-%ld-%.0f",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      20.0,
      215.0,
      209.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-12",
     "numinlets": 2,
     "numoutlets": 1,
     "maxclass": "message",
     "text": "/ldm/text $1 $2 num_waveforms_per_prompt 4 reply_port 9548",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      20.0,
      275.0,
      426.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-13",
     "numinlets": 1,
     "numoutlets": 0,
     "maxclass": "comment",
     "text": "a part of the last take made anew: from, to (seconds), prompt",
     "outlettype": [],
     "patching_rect": [
      480.0,
      10.0,
      386.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-14",
     "numinlets": 1,
     "numoutlets": 2,
     "maxclass": "flonum",
     "outlettype": [
      "",
      ""
     ],
     "patching_rect": [
      480.0,
      35.0,
      60.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-15",
     "numinlets": 1,
     "numoutlets": 2,
     "maxclass": "flonum",
     "outlettype": [
      "",
      ""
     ],
     "patching_rect": [
      560.0,
      35.0,
      60.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-16",
     "numinlets": 2,
     "numoutlets": 1,
     "maxclass": "newobj",
     "text": "sprintf symout %f:%f",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      640.0,
      35.0,
      160.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-17",
     "numinlets": 1,
     "numoutlets": 2,
     "maxclass": "newobj",
     "text": "t b f",
     "outlettype": [
      "",
      ""
     ],
     "patching_rect": [
      560.0,
      60.0,
      55.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-18",
     "numinlets": 3,
     "numoutlets": 1,
     "maxclass": "newobj",
     "text": "join 3 @triggers 0",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      480.0,
      335.0,
      146.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-19",
     "numinlets": 1,
     "numoutlets": 4,
     "maxclass": "textedit",
     "keymode": 1,
     "outputmode": 1,
     "outlettype": [
      "",
      "",
      "",
      ""
     ],
     "patching_rect": [
      480.0,
      95.0,
      300.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-20",
     "numinlets": 1,
     "numoutlets": 2,
     "maxclass": "newobj",
     "text": "route text",
     "outlettype": [
      "",
      ""
     ],
     "patching_rect": [
      480.0,
      125.0,
      90.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-21",
     "numinlets": 1,
     "numoutlets": 1,
     "maxclass": "newobj",
     "text": "tosymbol",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      480.0,
      155.0,
      76.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-22",
     "numinlets": 1,
     "numoutlets": 2,
     "maxclass": "newobj",
     "text": "t b s",
     "outlettype": [
      "",
      ""
     ],
     "patching_rect": [
      480.0,
      185.0,
      55.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-23",
     "numinlets": 2,
     "numoutlets": 1,
     "maxclass": "newobj",
     "text": "pack s s",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      480.0,
      305.0,
      76.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-24",
     "numinlets": 1,
     "numoutlets": 2,
     "maxclass": "newobj",
     "text": "t b b",
     "outlettype": [
      "",
      ""
     ],
     "patching_rect": [
      480.0,
      215.0,
      55.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-25",
     "numinlets": 2,
     "numoutlets": 1,
     "maxclass": "newobj",
     "text": "random 1000000",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      480.0,
      245.0,
      118.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-26",
     "numinlets": 1,
     "numoutlets": 1,
     "maxclass": "newobj",
     "text": "cpuclock",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      600.0,
      245.0,
      76.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-27",
     "numinlets": 2,
     "numoutlets": 1,
     "maxclass": "newobj",
     "text": "sprintf symout max-%ld-%.0f",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      480.0,
      275.0,
      209.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-28",
     "numinlets": 0,
     "numoutlets": 1,
     "maxclass": "newobj",
     "text": "r audioldm-last",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      640.0,
      305.0,
      125.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-29",
     "numinlets": 2,
     "numoutlets": 1,
     "maxclass": "message",
     "text": "/ldm/inpaint $1 $2 clip $3 regions $4 reply_port 9548",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      480.0,
      365.0,
      391.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-30",
     "numinlets": 1,
     "numoutlets": 0,
     "maxclass": "comment",
     "text": "answers: four takes become four buffers; the number plays one",
     "outlettype": [],
     "patching_rect": [
      20.0,
      370.0,
      386.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-31",
     "numinlets": 1,
     "numoutlets": 6,
     "maxclass": "newobj",
     "text": "route /ldm/take /ldm/job/progress /ldm/job/done /ldm/job/fail /ldm/error",
     "outlettype": [
      "",
      "",
      "",
      "",
      "",
      ""
     ],
     "patching_rect": [
      20.0,
      420.0,
      524.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-32",
     "numinlets": 1,
     "numoutlets": 1,
     "maxclass": "newobj",
     "text": "udpreceive 9548",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      20.0,
      395.0,
      125.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-33",
     "numinlets": 1,
     "numoutlets": 0,
     "maxclass": "newobj",
     "text": "print ldm-job-progress",
     "outlettype": [],
     "patching_rect": [
      160.0,
      450.0,
      174.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-34",
     "numinlets": 1,
     "numoutlets": 0,
     "maxclass": "newobj",
     "text": "print ldm-job-done",
     "outlettype": [],
     "patching_rect": [
      330.0,
      450.0,
      146.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-35",
     "numinlets": 1,
     "numoutlets": 0,
     "maxclass": "newobj",
     "text": "print ldm-job-fail",
     "outlettype": [],
     "patching_rect": [
      500.0,
      450.0,
      146.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-36",
     "numinlets": 1,
     "numoutlets": 0,
     "maxclass": "newobj",
     "text": "print ldm-error",
     "outlettype": [],
     "patching_rect": [
      670.0,
      450.0,
      125.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-37",
     "numinlets": 1,
     "numoutlets": 4,
     "maxclass": "newobj",
     "text": "unpack s s 0 s",
     "outlettype": [
      "",
      "",
      "",
      ""
     ],
     "patching_rect": [
      20.0,
      450.0,
      118.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-38",
     "numinlets": 1,
     "numoutlets": 0,
     "maxclass": "newobj",
     "text": "s audioldm-last",
     "outlettype": [],
     "patching_rect": [
      220.0,
      480.0,
      125.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-39",
     "numinlets": 2,
     "numoutlets": 2,
     "maxclass": "newobj",
     "text": "zl reg",
     "outlettype": [
      "",
      ""
     ],
     "patching_rect": [
      140.0,
      510.0,
      62.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-40",
     "numinlets": 1,
     "numoutlets": 2,
     "maxclass": "newobj",
     "text": "t b i",
     "outlettype": [
      "",
      ""
     ],
     "patching_rect": [
      20.0,
      480.0,
      55.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-41",
     "numinlets": 1,
     "numoutlets": 1,
     "maxclass": "newobj",
     "text": "prepend replace",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      140.0,
      540.0,
      125.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-42",
     "numinlets": 2,
     "numoutlets": 4,
     "maxclass": "newobj",
     "text": "gate 4",
     "outlettype": [
      "",
      "",
      "",
      ""
     ],
     "patching_rect": [
      20.0,
      570.0,
      62.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-43",
     "numinlets": 2,
     "numoutlets": 1,
     "maxclass": "newobj",
     "text": "% 4",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      80.0,
      510.0,
      41.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-44",
     "numinlets": 2,
     "numoutlets": 1,
     "maxclass": "newobj",
     "text": "+ 1",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      80.0,
      540.0,
      41.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-45",
     "numinlets": 1,
     "numoutlets": 2,
     "maxclass": "newobj",
     "text": "buffer~ audioldm-1",
     "outlettype": [
      "",
      ""
     ],
     "patching_rect": [
      20.0,
      600.0,
      146.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-46",
     "numinlets": 1,
     "numoutlets": 2,
     "maxclass": "newobj",
     "text": "buffer~ audioldm-2",
     "outlettype": [
      "",
      ""
     ],
     "patching_rect": [
      170.0,
      600.0,
      146.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-47",
     "numinlets": 1,
     "numoutlets": 2,
     "maxclass": "newobj",
     "text": "buffer~ audioldm-3",
     "outlettype": [
      "",
      ""
     ],
     "patching_rect": [
      320.0,
      600.0,
      146.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-48",
     "numinlets": 1,
     "numoutlets": 2,
     "maxclass": "newobj",
     "text": "buffer~ audioldm-4",
     "outlettype": [
      "",
      ""
     ],
     "patching_rect": [
      470.0,
      600.0,
      146.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-49",
     "numinlets": 1,
     "numoutlets": 2,
     "maxclass": "number",
     "outlettype": [
      "",
      ""
     ],
     "patching_rect": [
      660.0,
      480.0,
      50.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-50",
     "numinlets": 2,
     "numoutlets": 1,
     "maxclass": "message",
     "text": "set audioldm-$1, start",
     "outlettype": [
      ""
     ],
     "patching_rect": [
      660.0,
      510.0,
      174.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-51",
     "numinlets": 1,
     "numoutlets": 2,
     "maxclass": "newobj",
     "text": "play~ audioldm-1",
     "outlettype": [
      "",
      ""
     ],
     "patching_rect": [
      660.0,
      540.0,
      132.0,
      22.0
     ]
    }
   },
   {
    "box": {
     "id": "obj-52",
     "numinlets": 2,
     "numoutlets": 0,
     "maxclass": "newobj",
     "text": "ezdac~",
     "outlettype": [],
     "patching_rect": [
      660.0,
      580.0,
      62.0,
      22.0
     ]
    }
   }
  ],
  "lines": [
   {
    "patchline": {
     "source": [
      "obj-3",
      0
     ],
     "destination": [
      "obj-4",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-4",
      0
     ],
     "destination": [
      "obj-5",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-5",
      0
     ],
     "destination": [
      "obj-6",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-6",
      1
     ],
     "destination": [
      "obj-7",
      1
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-6",
      0
     ],
     "destination": [
      "obj-8",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-8",
      1
     ],
     "destination": [
      "obj-10",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-10",
      0
     ],
     "destination": [
      "obj-11",
      1
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-8",
      0
     ],
     "destination": [
      "obj-9",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-9",
      0
     ],
     "destination": [
      "obj-11",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-11",
      0
     ],
     "destination": [
      "obj-7",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-7",
      0
     ],
     "destination": [
      "obj-12",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-12",
      0
     ],
     "destination": [
      "obj-2",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-14",
      0
     ],
     "destination": [
      "obj-16",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-15",
      0
     ],
     "destination": [
      "obj-17",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-17",
      1
     ],
     "destination": [
      "obj-16",
      1
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-17",
      0
     ],
     "destination": [
      "obj-14",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-19",
      0
     ],
     "destination": [
      "obj-20",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-20",
      0
     ],
     "destination": [
      "obj-21",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-21",
      0
     ],
     "destination": [
      "obj-22",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-22",
      1
     ],
     "destination": [
      "obj-23",
      1
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-22",
      0
     ],
     "destination": [
      "obj-24",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-24",
      1
     ],
     "destination": [
      "obj-26",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-26",
      0
     ],
     "destination": [
      "obj-27",
      1
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-24",
      0
     ],
     "destination": [
      "obj-25",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-25",
      0
     ],
     "destination": [
      "obj-27",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-27",
      0
     ],
     "destination": [
      "obj-23",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-23",
      0
     ],
     "destination": [
      "obj-18",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-28",
      0
     ],
     "destination": [
      "obj-18",
      1
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-16",
      0
     ],
     "destination": [
      "obj-18",
      2
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-18",
      0
     ],
     "destination": [
      "obj-29",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-29",
      0
     ],
     "destination": [
      "obj-2",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-32",
      0
     ],
     "destination": [
      "obj-31",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-31",
      1
     ],
     "destination": [
      "obj-33",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-31",
      2
     ],
     "destination": [
      "obj-34",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-31",
      3
     ],
     "destination": [
      "obj-35",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-31",
      4
     ],
     "destination": [
      "obj-36",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-31",
      0
     ],
     "destination": [
      "obj-37",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-37",
      3
     ],
     "destination": [
      "obj-38",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-37",
      3
     ],
     "destination": [
      "obj-39",
      1
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-37",
      2
     ],
     "destination": [
      "obj-40",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-40",
      1
     ],
     "destination": [
      "obj-43",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-43",
      0
     ],
     "destination": [
      "obj-44",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-44",
      0
     ],
     "destination": [
      "obj-42",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-40",
      0
     ],
     "destination": [
      "obj-39",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-39",
      0
     ],
     "destination": [
      "obj-41",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-41",
      0
     ],
     "destination": [
      "obj-42",
      1
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-42",
      0
     ],
     "destination": [
      "obj-45",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-42",
      1
     ],
     "destination": [
      "obj-46",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-42",
      2
     ],
     "destination": [
      "obj-47",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-42",
      3
     ],
     "destination": [
      "obj-48",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-49",
      0
     ],
     "destination": [
      "obj-50",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-50",
      0
     ],
     "destination": [
      "obj-51",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-51",
      0
     ],
     "destination": [
      "obj-52",
      0
     ]
    }
   },
   {
    "patchline": {
     "source": [
      "obj-51",
      0
     ],
     "destination": [
      "obj-52",
      1
     ]
    }
   }
  ]
 }
}
