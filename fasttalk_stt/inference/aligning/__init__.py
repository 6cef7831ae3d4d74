"""Word times by forced alignment: where in the audio the phonemes of known words are."""
