package main

import "github.com/tenancy-go/tenancy/examples/saas/signup"

// samples are the two workspaces of a fresh installation.
var samples = []sample{
	{
		form:  signup.Form{Name: "Acme Robotics", Slug: "acme", Email: "hello@acme.example", Accent: "#0b6bcb"},
		plan:  "pro",
		about: "Builds arms that pack parcels",
		documents: []note{
			{title: "Gripper review, week 41", summarised: true, text: `The new gripper lifted every parcel of the test set, including the soft bags that the old gripper dropped. Two of the five suction cups wore out after nine thousand lifts. The supplier offers a harder cup, which costs a third more and is said to last three times as long.

We looked at the camera as well. It confuses white labels with the white belt when the evening sun comes in. A hood over the camera solved it for an afternoon, so a proper hood is the next thing to build.

Until the harder cups arrive, the gripper stays on the day shift, where somebody can change a cup. The line manager asked for a counter of lifts per cup, so that cups are changed before they fail. The counter is easy to add, since the gripper reports every lift already.`},
			{title: "How we name our releases", text: `Every release of the arm's software carries the year and the week it was cut in.

A release that goes to customers has passed a night on the test line without a stop. If a stop happens, the release is cut again in the following week, and the number of the failed one is not used again.`},
		},
		prompts: []ask{
			{model: "summarise", text: "The night shift reported three stops. The first stop came from a parcel without a label, which the arm handed to the wrong belt. The second stop came from the same belt, because the parcel came round again and was still without a label. The third was a power cut in the whole street. Nobody was hurt. The team suggests that the arm puts parcels without a label aside, so that a person can look at them, and that the belt does not bring them round again.", followUp: "Put it on the list for Thursday."},
			{model: "echo", text: "Draft for the door: deliveries ring twice, visitors ring once."},
			{model: "summarise", text: "Orders for the small arm grew in spring and grew again in summer. Most orders came from companies that already own a large arm. They put the small arm at the end of the line, where parcels are light and come fast. Companies without a large arm ask for a trial first. A trial ties up an arm for a month, and every second trial ends in an order. More arms for trials would therefore bring more orders."},
		},
	},
	{
		form:  signup.Form{Name: "Globex Research", Slug: "globex", Email: "desk@globex.example", Accent: "#2c7a4b"},
		plan:  "free",
		about: "Measures how cities breathe",
		documents: []note{
			{title: "Field notes: the river sensors", summarised: true, text: `Twelve sensors hang under the bridges and measure the air above the river every minute. The air above the river is cleaner than the air in the streets beside it, except on still mornings. On still mornings the cold air above the water holds the dust of the streets down, and the sensors show more dust than any street.

One sensor was taken by a swan. It was found on the island and still works.

We want to know whether the dust of still mornings comes from the streets or from the boats. Boats do not run before seven, and the dust is there at five, so the streets are more likely. A week with the harbour closed would settle it.`},
			{title: "What we publish, and when", text: `Measurements are published after a month, so that mistakes can be found first. Maps are published with the measurements that they were drawn from.

Raw readings of single sensors are given to schools and universities that ask for them.`},
		},
		prompts: []ask{
			{model: "echo", text: "Remember: the school visit moved to Friday, ten o'clock, main entrance."},
			{model: "summarise", text: "Trees lower the temperature of a street by shade and by water. Shade counts most at noon. Water counts most in the evening, when the leaves give off what the roots took up. Young trees give little shade and little water. A street that is planted today is cooler in ten years. Until then, awnings give the shade that the trees do not give yet, and they cost less than a tree.", followUp: "Ask the planners about awnings."},
		},
	},
}
