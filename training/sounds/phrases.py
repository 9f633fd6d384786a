"""Phrases for distilling the text tower: what a musician might type, made from word lists.

The captions of the sounds cover little of the language; these templates spread the rest, so that
the small student follows its teacher on open prompts too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from training.sounds.folder import NOTES

__all__ = ["INSTRUMENTS", "make_phrases"]


def _words(listed: str) -> tuple[str, ...]:
    return tuple(word for word in listed.split(",") if word)


ADJECTIVES: Final = _words(
    "deep,punchy,warm,dark,bright,soft,loud,gentle,heavy,distant,muffled,crisp,metallic,wooden,"
    "hollow,airy,gritty,distorted,clean,lo-fi,vintage,analog,digital,ambient,evolving,slow,fast,"
    "short,long,dry,wet,reverberant,aggressive,mellow,noisy,resonant,high,low,eerie,happy,sad,"
    "massive,tiny,crackling,rumbling,sharp,smooth,detuned,filtered,glitchy,cinematic"
)
SOURCES: Final = _words(
    "kick,snare,hi-hat,cymbal,tom,clap,rimshot,cowbell,tambourine,shaker,conga,drum loop,beat,"
    "808 bass,sub bass,bassline,synth lead,synth pad,arpeggio,chord,riser,sweep,drop,impact,whoosh,"
    "rain,thunder,wind,ocean waves,river,waterfall,fire,birds,seagull,owl,rooster,dog barking,"
    "cat meowing,cow,horse,sheep,frog,crickets,bees,footsteps,door closing,door creaking,knock,"
    "glass breaking,keys,clock ticking,typing,telephone,alarm,siren,church bell,car engine,train,"
    "airplane,helicopter,motorcycle,chainsaw,drill,hammer,vacuum cleaner,explosion,gunshot,laser,"
    "sword,button click,notification,coin,power-up,applause,crowd,laughter,scream,baby crying,"
    "cough,sneeze,breathing,whisper,singing voice,choir,radio static,vinyl crackle,white noise,"
    "hum,drone,texture,robot,spaceship,monster,ghost,bubbles,dripping water,splash,wind chimes,"
    "gong,music box,orchestra,jazz band,rock band,techno track,house loop,hip hop beat"
)
INSTRUMENTS: Final = _words(
    "piano,electric piano,organ,harpsichord,celesta,glockenspiel,vibraphone,marimba,xylophone,"
    "tubular bells,dulcimer,accordion,harmonica,acoustic guitar,electric guitar,electric bass,"
    "double bass,violin,viola,cello,string ensemble,harp,choir,trumpet,trombone,tuba,french horn,"
    "brass section,saxophone,oboe,clarinet,bassoon,flute,recorder,pan flute,whistle,sitar,banjo,"
    "kalimba,bagpipe,steel drum,sine wave,sawtooth synth,square wave synth,synth bass,synth lead,"
    "synth pad,bell,music box"
)
PLACES: Final = _words(
    "forest,cathedral,hall,room,kitchen,street,city,tin roof,cave,distance,field,night,tunnel,"
    "garage,factory,bathroom,beach,desert,space,garden,jungle,storm,church,club,setup"
)
TEMPLATES: Final = (
    "a {adjective} {source}",
    "{adjective} {source}",
    "{source} in a {place}",
    "the sound of {source}",
    "{adjective} {adjective2} {source} in the {place}",
    "{source} and {source2}",
    "{source} with {word}",
    "{word} {source}",
    "a {word} {word2}",
    "{word} {word2} sound",
    "{adjective} {instrument}",
    "a {instrument} in a {place}",
    "{source} at {bpm} bpm",
    "a {adjective} {source} loop, {bpm} bpm",
    "{instrument} melody in {note} minor",
    "a {adjective} {instrument} chord in {note} major",
    "recording of {word} {word2} in the {place}",
)
NOTE_TEMPLATES: Final = (
    "a {instrument} playing a {note} note",
    "a single {instrument} note, {note}",
    "{instrument} {note}",
    "{note} {instrument}",
    "a {adjective} {instrument} note {note}",
    "{instrument} playing {note}",
)


def make_phrases(count: int, words: Sequence[str], seed: int) -> list[str]:
    """``count`` phrases, a third of them naming a note; ``words`` are further words to use."""
    generator = np.random.default_rng(seed)

    def pick(items: Sequence[str]) -> str:
        return items[int(generator.integers(len(items)))]

    phrases = []
    for number in range(count):
        named = number % 3 == 0
        template = pick(NOTE_TEMPLATES if named else TEMPLATES)
        octave = str(int(generator.integers(1, 8))) if named else ""
        phrases.append(
            template.format(
                adjective=pick(ADJECTIVES),
                adjective2=pick(ADJECTIVES),
                source=pick(SOURCES),
                source2=pick(SOURCES),
                place=pick(PLACES),
                word=pick(words),
                word2=pick(words),
                instrument=pick(INSTRUMENTS),
                bpm=int(generator.integers(60, 180)),
                note=pick(NOTES) + octave,
            )
        )
    return phrases
